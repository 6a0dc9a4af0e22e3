"""Recipes: named sets of settings."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from modelyard.data.names import require_known


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings under a name, for some data sets and models or for all.

    Attributes:
        name: `smoke`, `fast` or `best`.
        summary: What it is for, in a few words; empty in rows that refine another.
        values: Settings by name.
        datasets: Names of the data sets it applies to; empty for all.
        models: Names of the models it applies to; empty for all.
    """

    name: str
    summary: str
    values: dict[str, Any]
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def applies_to(self, dataset: str, model: str) -> bool:
        """Whether it applies to this model on this data set."""
        return (not self.datasets or dataset in self.datasets) and (
            not self.models or model in self.models
        )


def recipe_values(
    recipes: Sequence[Recipe], name: str, dataset: str, model: str
) -> dict[str, Any]:
    """Returns the settings of all recipes of a name that apply; later ones win.

    Raises:
        ValueError: If there is no recipe of that name.
    """
    require_known("recipe", name, dict.fromkeys(recipe.name for recipe in recipes))
    values: dict[str, Any] = {}
    for recipe in recipes:
        if recipe.name == name and recipe.applies_to(dataset, model):
            values |= recipe.values
    return values
