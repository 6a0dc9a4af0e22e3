"""The report page of transfer learning: phases, learning curve and explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.data.images.loading import ImageSplits
from modelyard.evaluation.heat_maps import explain_images
from modelyard.pipelines import classification_results as results
from modelyard.pipelines.transfer_results import Outcome
from modelyard.reporting.figures import learning_curve_figure
from modelyard.reporting.formats import percent, quantity
from modelyard.reporting.report import Report
from modelyard.reporting.sections import (
    Explained,
    Section,
    choose_to_explain,
    enlarged_uri,
    overlay_uri,
)

_EXPLAINED = 12  # Right predictions, and as many mistakes.


def make_report(folder: Path, splits: ImageSplits, outcome: Outcome) -> Report:
    """Gathers what the page of a run shows."""
    kept = outcome.metrics["kept"]
    shown = {
        name: values
        for name, values in outcome.metrics.items()
        if isinstance(values, dict) and not name.endswith(f"_{kept}")
    }
    return results.make_report(
        folder,
        splits,
        outcome.scores,
        shown,
        outcome.progress,
        images=splits.test.images,
        sections=[
            _phases_section(outcome.metrics),
            *_learning_curve_sections(outcome.metrics),
            _explanations_section(splits, outcome),
        ],
    )


def _phases_section(metrics: dict[str, Any]) -> Section:
    """The two phases beside each other."""
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
            "First a linear head on the features of the frozen backbone, then both "
            "trained together. The one with the better validation accuracy is kept: it "
            "is what the rest of this page is about, and what is exported."
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
                "A linear head on the frozen backbone against a small convolutional "
                "network that has seen nothing but the same labelled pictures."
            ),
            header=("Labels", "Frozen", "95% interval", "Scratch", "95% interval"),
            rows=rows,
            figure=learning_curve_figure(lines),
        )
    ]


def _explanations_section(splits: ImageSplits, outcome: Outcome) -> Section:
    """Grad-CAM of some right predictions and of the surest mistakes."""
    test, scores = splits.test, outcome.scores
    chosen = choose_to_explain(scores, test.labels, right=_EXPLAINED, wrong=_EXPLAINED)
    heat_maps = explain_images(outcome.model, test.images[chosen])
    names = splits.class_names
    return Section(
        title="What the predictions rest on",
        note=(
            "Test pictures and their Grad-CAM heat maps: bright is what spoke for the "
            "predicted class. First right predictions of different classes, then the "
            "most confident mistakes (true class → prediction)."
        ),
        explained=[
            Explained(
                picture=enlarged_uri(test.images[index]),
                overlay=overlay_uri(test.images[index], heat_map),
                true=names[test.labels[index]],
                predicted=names[scores[index].argmax()],
                score=float(scores[index].max()),
            )
            for index, heat_map in zip(chosen, heat_maps, strict=True)
        ],
    )
