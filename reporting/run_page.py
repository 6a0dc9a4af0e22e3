"""The page of any run: the sections of its task, and those that all runs have."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from modelyard.reporting.figures import curve_figures
from modelyard.reporting.formats import flatten, quantity
from modelyard.reporting.page import Page
from modelyard.reporting.sections import Card, Cell, Section

_HISTORY_COLUMNS = ("epoch", "loss", "learning_rate", "seconds")


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """What the page and the model card say about a data set.

    Attributes:
        title: Its full name.
        licence: The licence, or what is known about it.
        citation: What to cite.
        url: Its home page, `http://` or `https://`; empty if it has none.
        split_sizes: Examples by split, as used in the run.
    """

    title: str
    licence: str
    citation: str
    url: str
    split_sizes: Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RunFacts:
    """Facts that the page and the model card of any run show.

    Attributes:
        title: Data set and model.
        subtitle: Pipeline and recipe.
        config: Every setting of the run.
        environment: Versions and hardware; may be nested.
        history: One row per epoch: `epoch`, `loss`, `learning_rate`, `seconds` since
            the start, and any metrics, those of validation with the prefix `val_`.
            Empty where nothing was trained in epochs.
        timing: Numbers such as `train_seconds`, `examples_per_second`,
            `input_wait_share` and `evaluate_seconds`.
        dataset: Facts about the data set.
        findings: What checks of the data found; may be nested.
        unit: Plural name of the examples, such as "images".

    Raises:
        ValueError: If the history lacks a column.
    """

    title: str
    subtitle: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: pd.DataFrame
    timing: Mapping[str, Any]
    dataset: DatasetFacts
    findings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unit: str = "examples"

    def __post_init__(self):
        """Refuses a history that cannot be drawn."""
        missing = [name for name in _HISTORY_COLUMNS if name not in self.history]
        if missing and not self.history.empty:
            raise ValueError(
                f"`history` must have a row per epoch and the columns "
                f"{_HISTORY_COLUMNS}. Received: columns={list(self.history.columns)}"
            )


@dataclasses.dataclass(frozen=True)
class ExportFacts:
    """What the page says about an export.

    Attributes:
        path: The directory of its version.
        predict_command: Shell command that predicts with it.
    """

    path: Path
    predict_command: str

    @property
    def serve_command(self) -> str:
        """Shell command that serves it with TF Serving."""
        base = self.path.resolve().parent
        return (
            f"tensorflow_model_server --rest_api_port=8501 --model_name={base.name} "
            f"--model_base_path={shlex.quote(str(base))}"
        )


def make_run_page(
    facts: RunFacts,
    *,
    headline: Card,
    cards: Sequence[Card],
    summary: Sequence[Section],
    details: Sequence[Section],
    export: ExportFacts | None = None,
) -> Page:
    """Puts the sections of a task between those that all runs have.

    Args:
        facts: Facts about the run.
        headline: Its most important figure.
        cards: Further figures; the speed of the training is added.
        summary: Sections before the training curves.
        details: Sections after them.
        export: The export, if there is one.
    """
    return Page(
        title=facts.title,
        subtitle=facts.subtitle,
        headline=headline,
        cards=[*cards, *_speed_cards(facts)],
        sections=[
            *summary,
            *_training_sections(facts.history),
            *details,
            *([] if export is None else [_export_section(export)]),
            *_data_sections(facts),
            *_technical_sections(facts),
        ],
    )


def _speed_cards(facts: RunFacts) -> list[Card]:
    """How long the training took, and how fast it was."""
    epochs = len(facts.history)
    plural = "" if epochs == 1 else "s"
    cards = {
        "train_seconds": ("Training time", f"{epochs} epoch{plural}" if epochs else ""),
        "examples_per_second": ("Training speed", f"{facts.unit}/s"),
        "input_wait_share": ("Waiting for input", "of the training time"),
    }
    return [
        Card(label, quantity(facts.timing[name], name), note)
        for name, (label, note) in cards.items()
        if name in facts.timing
    ]


def _training_sections(history: pd.DataFrame) -> list[Section]:
    """The curves, and the numbers behind them."""
    if history.empty:
        return []
    rows = [
        [quantity(value, name if name == "seconds" else "") for name, value in items]
        for items in (row.items() for row in history.to_dict("records"))
    ]
    return [
        Section(
            title="Training",
            figures=curve_figures(history),
            header=list(history.columns),
            rows=rows,
            fold="Every epoch",
        )
    ]


def _export_section(export: ExportFacts) -> Section:
    """Where the export is, and how to use it."""
    return Section(
        title="Use the exported model",
        facts={"Directory": str(export.path)},
        commands={"Predict": export.predict_command, "Serve": export.serve_command},
    )


def _data_sections(facts: RunFacts) -> list[Section]:
    """The data set, and what its checks found."""
    dataset = facts.dataset
    sizes = ", ".join(f"{name} {size:,}" for name, size in dataset.split_sizes.items())
    return [
        Section(
            title="Data",
            facts={
                "Data set": Cell(dataset.title, url=dataset.url),
                "Examples": sizes,
                "Licence": dataset.licence,
                "Citation": dataset.citation,
                **flatten(facts.findings),
            },
        )
    ]


def _technical_sections(facts: RunFacts) -> list[Section]:
    """Timings, environment and configuration."""
    timing = {name: quantity(value, name) for name, value in facts.timing.items()}
    tables = {
        "Timings": timing,
        "Environment": flatten(facts.environment),
        "Configuration": flatten(facts.config),
    }
    return [
        Section(title=title, facts=rows, is_narrow=True)
        for title, rows in tables.items()
        if rows
    ]
