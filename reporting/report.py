"""The page that tells what a run did: one HTML file that loads nothing."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from modelyard.evaluation.classification import (
    most_confident_mistakes,
    per_class_table,
    reliability_bins,
)
from modelyard.evaluation.intervals import difference_interval
from modelyard.evaluation.references import Reference
from modelyard.reporting import figures as report_figures
from modelyard.reporting.formats import flatten, percent, quantity, split_name
from modelyard.reporting.sections import Section
from modelyard.training.files import write_text

_HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "learning_rate", "seconds")
# Numbers in a larger confusion matrix could no longer be read.
_MOST_CLASSES_WITH_NUMBERS = 30
_NUM_SAMPLES = 30
_NUM_MISTAKES = 25
_NUM_CONFUSIONS = 10


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """What the page says of a data set.

    Attributes:
        title: Its full name.
        licence: The licence, or what is known of it.
        citation: Whom to cite.
        url: Its home page, `http://` or `https://`; empty if it has none.
        split_sizes: Examples by split, as used in the run.
    """

    title: str
    licence: str
    citation: str
    url: str
    split_sizes: Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything that the page of a classification run shows.

    Attributes:
        title: The pipeline and data set, say.
        subtitle: The model, say.
        config: Every setting of the run; may be nested.
        environment: Versions and hardware; may be nested.
        history: One row per epoch: `epoch`, `loss`, `accuracy`, `learning_rate`,
            `seconds` since the start, and, with validation, `val_loss` and
            `val_accuracy`. Empty where nothing was trained in epochs.
        metrics: What `classification_metrics` gave by split: `test`, and if there
            are any `validation`, `test_tta` (test-time augmentation) and others;
            and `timing`, numbers such as `train_seconds`, `examples_per_second`,
            `input_wait_share`, `evaluate_seconds`.
        class_names: The `k` names in order.
        images: Test pictures, uint8 `(n, height, width, channels)` with 1 or 3
            channels; `None` where examples are no pictures.
        labels: Their true classes, integer `(n,)` in [0, k).
        scores: Their probabilities, floating `(n, k)`, rows sum to 1; the ones that
            `metrics["test"]` was computed from.
        dataset: Facts on the data set.
        findings: What checks of the data found, such as test examples that are also
            in the training split; may be nested.
        references: Published values to compare with.
        sections: Parts of the page that this kind of run has besides.
        export_path: The exported model; `None` where nothing was exported.
        predict_command: Shell command that predicts with the export.
        serve_command: Shell command that serves it.
    """

    title: str
    subtitle: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: pd.DataFrame
    metrics: Mapping[str, Mapping[str, Any]]
    class_names: Sequence[str]
    images: np.ndarray | None
    labels: np.ndarray
    scores: np.ndarray
    dataset: DatasetFacts
    findings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    references: Sequence[Reference] = ()
    sections: Sequence[Section] = ()
    export_path: str | None = None
    predict_command: str | None = None
    serve_command: str | None = None

    def __post_init__(self):
        """Refuses what would make a page that is wrong or cannot be drawn."""
        missing = [name for name in _HISTORY_COLUMNS if name not in self.history]
        if missing and not self.history.empty:
            raise ValueError(
                f"`history` must have a row per epoch and the columns "
                f"{_HISTORY_COLUMNS}. Received: columns={list(self.history.columns)}"
            )
        lengths = {"scores": len(self.scores), "labels": len(self.labels)}
        if self.images is not None:
            lengths["images"] = len(self.images)
            _check_images(self.images)
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "`scores`, `labels` and `images` must be of the same test examples. "
                f"Received: lengths {lengths}"
            )
        links: list[DatasetFacts | Reference] = [self.dataset, *self.references]
        for link in links:
            # Escaping alone would let a `javascript:` address through.
            if link is self.dataset and not link.url:
                continue  # A folder of the user's own has no home page.
            if not link.url.startswith(("http://", "https://")):
                raise ValueError(
                    "`url` must begin with http:// or https://. "
                    f"Received: url={link.url!r} of {link}"
                )
        right = int(np.sum(self.scores.argmax(axis=1) == self.labels))
        told = self.metrics["test"]["accuracy"] * len(self.labels)
        if abs(right - told) > 0.5:
            raise ValueError(
                '`metrics["test"]` must be computed from `scores` and `labels`. '
                f"Received: accuracy={self.metrics['test']['accuracy']}, but "
                f"{right} of {len(self.labels)} predictions are right"
            )


def write_report(path: Path, report: Report) -> None:
    """Writes the page, atomically: an old one stays whole until the new one is done.

    Args:
        path: The HTML file; its folder must exist.
        report: What to show.

    Raises:
        ValueError: If scores, labels and class names do not belong together.
        StorageError: If the file cannot be written.
    """
    template = resources.files("modelyard.reporting").joinpath("report.html.jinja")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, quantity=quantity, split_name=split_name
    )
    page = environment.from_string(template.read_text(encoding="utf-8"))
    write_text(path, page.render(_page_content(report)))


def compare(report: Report) -> list[dict[str, Any]]:
    """Sets our test accuracy beside each reference.

    Returns:
        One dict per reference: `reference`, `difference`, `low` and `high` (95%
        interval of ours minus theirs) and `verdict`.
    """
    ours = report.metrics["test"]["accuracy"]
    rows = []
    for reference in report.references:
        difference, low, high = difference_interval(
            ours, len(report.labels), reference.accuracy, reference.num_examples
        )
        verdict = "ours is higher" if low > 0 else "ours is lower"
        if low <= 0 <= high:
            verdict = "no clear difference"
        rows.append(
            {
                "reference": reference,
                "difference": difference,
                "low": low,
                "high": high,
                "verdict": verdict,
            }
        )
    return rows


def _page_content(report: Report) -> dict[str, Any]:
    """Computes all that the template shows."""
    scores, labels = report.scores, report.labels
    names = report.class_names
    metrics = {k: v for k, v in report.metrics.items() if k != "timing"}
    counts = np.zeros((len(names), len(names)), np.int64)
    classes = per_class_table(scores, labels, list(names))
    np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    mistakes = most_confident_mistakes(scores, labels, count=_NUM_MISTAKES)
    sample = np.linspace(0, len(labels) - 1, min(_NUM_SAMPLES, len(labels)), dtype=int)
    numbered = len(names) <= _MOST_CLASSES_WITH_NUMBERS
    return {
        "report": report,
        "test": report.metrics["test"],
        "metrics": metrics,
        "timing": report.metrics.get("timing", {}),
        "comparisons": compare(report),
        "curves": report_figures.curve_figures(report.history),
        "epochs": report.history.to_dict("records"),
        "classes": list(classes.itertuples()),
        "matrix": _matrix_rows(counts, names) if numbered else None,
        "matrix_figure": None if numbered else report_figures.confusion_figure(counts),
        "confusions": _confusions(counts, names),
        "reliability": report_figures.reliability_figure(
            reliability_bins(scores, labels)
        ),
        "samples": _pictures(report, sample),
        "mistakes": _pictures(report, mistakes),
        "findings": flatten(report.findings),
        "environment": flatten(report.environment),
        "config": flatten(report.config),
    }


def _matrix_rows(counts: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Lists the cells of a confusion matrix with their CSS colours."""
    colours = report_figures.confusion_colours(counts)
    rows = []
    for name, row, row_colours in zip(names, counts, colours, strict=True):
        cells = [
            {
                "count": int(count),
                "colour": "rgb({:.0%} {:.0%} {:.0%} / {:.2f})".format(*c),
            }
            for count, c in zip(row, row_colours, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    return rows


def _confusions(counts: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Lists the most frequent pairs of a true class and a wrong prediction."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_CONFUSIONS]
    pairs = [divmod(int(index), len(names)) for index in order]
    return [
        {
            "true": names[true],
            "predicted": names[predicted],
            "count": int(wrong[true, predicted]),
            "share": wrong[true, predicted] / counts[true].sum(),
        }
        for true, predicted in pairs
        if wrong[true, predicted]
    ]


def _pictures(report: Report, indices: np.ndarray) -> list[dict[str, Any]]:
    """Encodes test pictures with what was predicted for them."""
    if report.images is None:
        return []
    predictions = report.scores.argmax(axis=1)
    return [
        {
            "index": int(i),
            "uri": report_figures.picture_uri(report.images[i]),
            "true": report.class_names[report.labels[i]],
            "predicted": report.class_names[predictions[i]],
            "right": bool(predictions[i] == report.labels[i]),
            "score": float(report.scores[i].max()),
            "small": max(report.images.shape[1:3]) <= 48,
        }
        for i in indices
    ]


def _check_images(images: np.ndarray) -> None:
    """Refuses what cannot be drawn as pictures."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "`images` must be uint8 of the shape (examples, height, width, 1 or 3). "
            f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
        )
