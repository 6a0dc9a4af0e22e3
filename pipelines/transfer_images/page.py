"""The report of `transfer-images`: phases, learning curve and explanations."""

from typing import Any

from modelyard.data.images.loading import ImageSplits
from modelyard.evaluation.classification import choose_to_explain
from modelyard.evaluation.heat_maps import explain_images
from modelyard.pipelines.common.classification import (
    describe_accuracy,
    describe_augmented,
)
from modelyard.pipelines.common.frozen_features import FrozenPhase
from modelyard.pipelines.transfer_images.steps import Outcome
from modelyard.reporting.figures import (
    enlarged_uri,
    learning_curve_figure,
    overlay_uri,
)
from modelyard.reporting.formats import percent, quantity
from modelyard.reporting.image_sections import classified_picture
from modelyard.reporting.sections import Section

_EXPLAINED = 12  # Correct predictions, and as many mistakes.
_PHASES = {"frozen": "frozen backbone", "fine_tuned": "fine-tuned"}


def sections(splits: ImageSplits, outcome: Outcome) -> list[Section]:
    """Returns the sections that other image classifiers do not have."""
    return [
        _phases_section(outcome.metrics),
        *_learning_curve_sections(outcome.metrics),
        _explanations_section(splits, outcome),
    ]


def metrics_by_split(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the metrics to show: of the phase that was kept, then of the other."""
    shown: dict[str, dict[str, Any]] = {
        name: metrics[name]
        for name in ("test", "test_tta", "validation")
        if name in metrics
    }
    for phase, words in _PHASES.items():
        for split in ("test", "validation"):
            if phase != metrics["kept"] and f"{split}_{phase}" in metrics:
                shown[f"{split.capitalize()}, {words}"] = metrics[f"{split}_{phase}"]
    return shown


def describe_head(phase: FrozenPhase) -> str:
    """Returns a line on the first phase."""
    return (
        f"frozen backbone: features {phase.feature_seconds:.1f} s, linear head "
        f"{phase.head_seconds:.1f} s, L2 {phase.head.l2:g}; log loss on validation "
        f"{phase.validation_loss:.4f}, accuracy {phase.validation_accuracy:.2%}"
    )


def summarise(metrics: dict[str, Any]) -> list[str]:
    """Returns the lines that end a run: the accuracy of both phases."""
    timing = metrics["timing"]
    lines = [
        f"{describe_accuracy(metrics['test'])}; kept: {_PHASES[metrics['kept']]}",
        (
            f"  frozen backbone {metrics['test_frozen']['accuracy']:.2%} after "
            f"{timing['frozen_seconds']:.1f} s"
        ),
    ]
    if "test_fine_tuned" in metrics:
        lines.append(
            f"  fine-tuned {metrics['test_fine_tuned']['accuracy']:.2%} after "
            f"{timing['fine_tune_seconds']:.1f} s more"
        )
    return [*lines, *describe_augmented(metrics)]


def _phases_section(metrics: dict[str, Any]) -> Section:
    """The two phases side by side."""
    timing = metrics["timing"]
    trained = {
        "frozen": ("Frozen backbone", timing["frozen_seconds"]),
        "fine_tuned": ("Fine-tuned", timing["fine_tune_seconds"]),
    }
    rows = []
    for phase, (title, seconds) in trained.items():
        if f"test_{phase}" not in metrics:
            continue
        test = metrics[f"test_{phase}"]
        rows.append(
            (
                title + (" (kept)" if phase == metrics["kept"] else ""),
                percent(metrics[f"validation_{phase}"]["accuracy"]),
                percent(test["accuracy"]),
                " to ".join(percent(end) for end in test["accuracy_interval"]),
                f"{test['log_loss']:.4f}",
                quantity(seconds, "seconds"),
            )
        )
    return Section(
        title="Phases",
        note=(
            "First a linear head is fitted to the features of the frozen backbone, "
            "then both are trained together. The classifier with the better validation "
            "accuracy is kept and exported; the rest of this page is about it."
        ),
        header=(
            "Phase",
            "Validation",
            "Test",
            "95% interval",
            "Log loss",
            "Training time",
        ),
        rows=rows,
    )


def _learning_curve_sections(metrics: dict[str, Any]) -> list[Section]:
    """The learning curve, if it was measured."""
    points = metrics.get("learning_curve")
    if not points:
        return []
    lines = {
        "frozen backbone": [(p["labels"], p["frozen"]["accuracy"]) for p in points],
        "from scratch": [(p["labels"], p["scratch"]["accuracy"]) for p in points],
    }
    if "test_fine_tuned" in metrics:
        tuned = metrics["test_fine_tuned"]["accuracy"]
        lines["fine-tuned"] = [(points[-1]["labels"], tuned)]
    rows = [
        (
            f"{point['labels']:,}",
            percent(point["frozen"]["accuracy"]),
            " to ".join(map(percent, point["frozen"]["accuracy_interval"])),
            percent(point["scratch"]["accuracy"]),
            " to ".join(map(percent, point["scratch"]["accuracy_interval"])),
        )
        for point in points
    ]
    return [
        Section(
            title="Learning curve",
            note=(
                "A linear head on the frozen backbone, compared with a small "
                "convolutional network trained from scratch on the same images."
            ),
            header=("Labels", "Frozen", "95% interval", "Scratch", "95% interval"),
            rows=rows,
            figure=learning_curve_figure(lines),
        )
    ]


def _explanations_section(splits: ImageSplits, outcome: Outcome) -> Section:
    """Grad-CAM of some correct predictions and of the most confident mistakes."""
    test, scores = splits.test, outcome.scores
    chosen = choose_to_explain(scores, test.labels, right=_EXPLAINED, wrong=_EXPLAINED)
    heat_maps = explain_images(outcome.model, test.images[chosen])
    names = splits.class_names
    return Section(
        title="Explanations",
        note=(
            "Test images and their Grad-CAM heat maps: bright areas support the "
            "predicted class. First correct predictions of different classes, then the "
            "most confident mistakes (true class → prediction)."
        ),
        pictures=[
            classified_picture(
                {
                    "test image": enlarged_uri(test.images[index]),
                    "heat map": overlay_uri(test.images[index], heat_map),
                },
                names[test.labels[index]],
                names[scores[index].argmax()],
                float(scores[index].max()),
            )
            for index, heat_map in zip(chosen, heat_maps, strict=True)
        ],
    )
