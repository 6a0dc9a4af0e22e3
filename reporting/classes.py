"""What the page and the model card of a classifier show."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelyard.evaluation.classification import per_class_table, reliability_bins
from modelyard.evaluation.intervals import difference_interval
from modelyard.evaluation.references import Reference
from modelyard.reporting import figures
from modelyard.reporting.confusion import confusion_section
from modelyard.reporting.formats import percent, split_name
from modelyard.reporting.image_sections import sample_and_mistakes
from modelyard.reporting.model_card import CardTable
from modelyard.reporting.sections import Card, Cell, Section


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationResults:
    """The predictions of a classifier and their metrics.

    Attributes:
        class_names: The `k` names in order.
        labels: True classes of the test examples, integer `(n,)` in [0, k).
        scores: Their probabilities, floating `(n, k)`, rows sum to 1.
        metrics: Results of `classification_metrics` by split: `test`, computed from
            `scores`, and perhaps `validation`, `test_tta` and others.
        images: Test images, uint8 `(n, height, width, channels)` with 1 or 3
            channels; `None` if the examples are not images.
        references: Published values to compare with.

    Raises:
        ValueError: If the arrays differ in length, the images cannot be drawn, or the
            metrics were not computed from the scores.
    """

    class_names: Sequence[str]
    labels: np.ndarray
    scores: np.ndarray
    metrics: Mapping[str, Mapping[str, Any]]
    images: np.ndarray | None = None
    references: Sequence[Reference] = ()

    def __post_init__(self):
        """Checks that the results belong together."""
        lengths = {"scores": len(self.scores), "labels": len(self.labels)}
        if self.images is not None:
            lengths["images"] = len(self.images)
            _check_images(self.images)
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "`scores`, `labels` and `images` must have one row per test example. "
                f"Received: lengths {lengths}"
            )
        right = int(np.sum(self.scores.argmax(axis=1) == self.labels))
        claimed = self.metrics["test"]["accuracy"] * len(self.labels)
        if abs(right - claimed) > 0.5:
            raise ValueError(
                '`metrics["test"]` must be computed from `scores` and `labels`. '
                f"Received: accuracy={self.metrics['test']['accuracy']}, but "
                f"{right} of {len(self.labels)} predictions are right"
            )


def headline(results: ClassificationResults) -> Card:
    """Returns the test accuracy with its interval."""
    test = results.metrics["test"]
    low, high = test["accuracy_interval"]
    return Card(
        "Test accuracy",
        percent(test["accuracy"]),
        f"95% interval {percent(low)} to {percent(high)}, from "
        f"{test['num_examples']:,} test examples",
    )


def cards(results: ClassificationResults) -> list[Card]:
    """Returns the other figures of the test split."""
    test = results.metrics["test"]
    shown = [
        Card("Mistakes", f"{test['num_errors']:,}", f"of {test['num_examples']:,}"),
        Card("Log loss", f"{test['log_loss']:.4f}", "nats, lower is better"),
        Card(
            "Calibration error",
            percent(test["expected_calibration_error"]),
            "mean gap between score and accuracy",
        ),
    ]
    if "roc_auc" in test:
        note = "1 is perfect, 0.5 is chance"
        shown.append(Card("ROC AUC", f"{test['roc_auc']:.4f}", note))
    return shown


def summary_sections(results: ClassificationResults) -> list[Section]:
    """Returns the comparison with published values, if there are any."""
    if not results.references:
        return []
    test = results.metrics["test"]
    accuracy = Cell(percent(test["accuracy"]), style="strong")
    ours: list[str | Cell] = ["This run", accuracy, "", "", "", ""]
    return [
        Section(
            title="Published results",
            header=(
                *("Model", "Accuracy", "Difference", "95% interval", "Verdict"),
                "Source",
            ),
            rows=[ours, *map(_comparison_row, compare(results))],
            remark=(
                "Differences are this run minus the published value, in percentage "
                "points, with Newcombe's interval for independent test sets."
            ),
        )
    ]


def detail_sections(results: ClassificationResults) -> list[Section]:
    """Returns metrics by split, confusions, classes, calibration and images."""
    images: list[Section] = []
    if results.images is not None:
        images = sample_and_mistakes(
            results.images, results.scores, results.labels, results.class_names
        )
    return [
        _splits_section(results),
        confusion_section(results.scores, results.labels, results.class_names),
        *_class_sections(results),
        *images,
    ]


def compare(results: ClassificationResults) -> list[dict[str, Any]]:
    """Compares the test accuracy with each reference.

    Returns:
        One dict per reference: `reference`, `difference` (ours minus theirs), `low`
        and `high` (its 95% interval) and `verdict`.
    """
    ours = results.metrics["test"]["accuracy"]
    rows = []
    for reference in results.references:
        difference, low, high = difference_interval(
            ours, len(results.labels), reference.accuracy, reference.num_examples
        )
        verdict = "higher" if low > 0 else "lower"
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


def card_tables(results: ClassificationResults) -> list[CardTable]:
    """Returns the tables of metrics for the model card."""
    header, rows = _metrics_by_split(results)
    tables = [CardTable(header, rows)]
    if results.references:
        published = [
            (
                row["reference"].name,
                percent(row["reference"].accuracy),
                percent(row["difference"]),
                f"{percent(row['low'])} to {percent(row['high'])}",
                f"{row['reference'].source}, {row['reference'].url}",
            )
            for row in compare(results)
        ]
        columns = ("Published", "Accuracy", "Difference", "95% interval", "Source")
        tables.append(CardTable(columns, published))
    return tables


def measured_limits(results: ClassificationResults) -> list[str]:
    """Returns sentences on the limits that the metrics show."""
    test = results.metrics["test"]
    classes = per_class_table(results.scores, results.labels, list(results.class_names))
    seen = classes[classes["support"] > 0]
    weakest = seen["recall"].idxmin()
    return [
        "Every input is assigned to one of the classes, even if it belongs to none.",
        (
            f"Weakest class of the test split: {weakest}, with a recall of "
            f"{percent(seen['recall'].min())}."
        ),
        (
            "Scores differ from the share of correct answers by "
            f"{percent(test['expected_calibration_error'])} on average over the test "
            "split (expected calibration error)."
        ),
        "The metrics hold for data like the test split. Nothing else was measured.",
    ]


def _comparison_row(row: Mapping[str, Any]) -> list[str | Cell]:
    """A published value beside ours."""
    reference = row["reference"]
    sign = "+" if row["difference"] > 0 else ""
    style = "higher" if row["low"] > 0 else "lower" if row["high"] < 0 else ""
    return [
        reference.name,
        percent(reference.accuracy),
        f"{sign}{percent(row['difference'])}",
        f"{percent(row['low'])} to {percent(row['high'])}",
        Cell(row["verdict"], style=style),  # type: ignore[arg-type]
        Cell(
            reference.source,
            url=reference.url,
            note="(taken as exact)" if reference.num_examples is None else "",
        ),
    ]


def _metrics_by_split(
    results: ClassificationResults,
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of metrics."""
    columns = {
        "Accuracy": lambda m: percent(m["accuracy"]),
        "95% interval": lambda m: " to ".join(map(percent, m["accuracy_interval"])),
        "Mistakes": lambda m: f"{m['num_errors']:,} of {m['num_examples']:,}",
        "Top 5": lambda m: percent(m["top5_accuracy"]),
        "ROC AUC": lambda m: f"{m['roc_auc']:.4f}",
        "Macro F1": lambda m: f"{m['macro_f1']:.4f}",
        "Log loss": lambda m: f"{m['log_loss']:.4f}",
        "Calibration error": lambda m: percent(m["expected_calibration_error"]),
    }
    test = results.metrics["test"]
    for name, key in (("Top 5", "top5_accuracy"), ("ROC AUC", "roc_auc")):
        if key not in test:
            del columns[name]
    rows = [
        [split_name(split), *(show(metrics) for show in columns.values())]
        for split, metrics in results.metrics.items()
    ]
    return ["Split", *columns], rows


def _splits_section(results: ClassificationResults) -> Section:
    """The metrics of every split."""
    header, rows = _metrics_by_split(results)
    return Section(title="Results by split", header=header, rows=rows)


def _class_sections(results: ClassificationResults) -> list[Section]:
    """Metrics of each class, and the calibration."""
    scores, labels = results.scores, results.labels
    table = per_class_table(scores, labels, list(results.class_names))
    error = results.metrics["test"]["expected_calibration_error"]
    return [
        Section(
            title="Classes",
            header=("Class", "Precision", "Recall", "F1", "Examples"),
            rows=[
                (
                    str(row.Index),
                    percent(row.precision),
                    percent(row.recall),
                    f"{row.f1:.4f}",
                    f"{row.support:,}",
                )
                for row in table.itertuples()
            ],
            is_narrow=True,
        ),
        Section(
            title="Calibration",
            figure=figures.reliability_figure(reliability_bins(scores, labels)),
            remark=(
                f"Expected calibration error {percent(error)} over 15 bins. The scores "
                "of a calibrated model equal its accuracy. Above the diagonal, the "
                "model is underconfident; below it, overconfident."
            ),
            is_narrow=True,
        ),
    ]


def _check_images(images: np.ndarray) -> None:
    """Refuses arrays that cannot be drawn."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "`images` must be uint8 of the shape (examples, height, width, 1 or 3). "
            f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
        )
