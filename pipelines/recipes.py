"""Recipes: named sets of config values."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from modelyard.data.names import require_known


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Values of a config under a name, for some data sets and models or for all.

    Attributes:
        name: `smoke`, `fast` or `best`.
        summary: What it is for, in a few words.
        values: Config fields by name.
        datasets: Names of the data sets it is for; empty is all.
        models: Names of the models it is for; empty is all.
    """

    name: str
    summary: str
    values: dict[str, Any]
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def suits(self, dataset: str, model: str) -> bool:
        """Whether it is meant for this model on this data set."""
        return (not self.datasets or dataset in self.datasets) and (
            not self.models or model in self.models
        )


def recipe_values(
    recipes: Sequence[Recipe], name: str, dataset: str, model: str
) -> dict[str, Any]:
    """Returns the values of all suitable recipes of a name, later ones winning.

    Raises:
        ValueError: If there is no recipe of that name.
    """
    require_known("recipe", name, dict.fromkeys(recipe.name for recipe in recipes))
    values: dict[str, Any] = {}
    for recipe in recipes:
        if recipe.name == name and recipe.suits(dataset, model):
            values |= recipe.values
    return values
