"""The report and the model card of `colorize-images`."""

from collections.abc import Mapping
from typing import Any

from modelyard.pipelines.colorize_images.steps import GREY, TRUTH
from modelyard.pipelines.common.picture_page import (
    example_sections,
    method_sections,
    picture_model_card,
    summary_lines,
)
from modelyard.pipelines.common.pictures import OURS, Measured
from modelyard.reporting.formats import metric_text, percent
from modelyard.reporting.page import Page
from modelyard.reporting.run_page import ExportFacts, RunFacts, make_run_page
from modelyard.reporting.sections import Card, Section

_COLUMNS = {
    "ciede2000": "CIEDE2000",
    "colorfulness_ratio": "Colourfulness",
    "psnr": "PSNR",
    "mean_absolute_error": "Mean absolute error",
    "accuracy_2pct": "Pixels within 2%",
}
_SUMMARY = {
    name: _COLUMNS[name] for name in ("ciede2000", "colorfulness_ratio", "psnr")
}


def make_page(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    measured: Measured,
    export: ExportFacts | None,
) -> Page:
    """Makes the report page.

    Args:
        facts: Facts about the run.
        metrics: The content of `metrics.json`.
        measured: The coloured test pictures.
        export: The export, if there is one.
    """
    test, methods = metrics["test"], metrics["methods"]
    change = test["ciede2000"] / methods[GREY]["ciede2000"] - 1
    return make_run_page(
        facts,
        headline=Card(
            "Colour difference",
            metric_text("ciede2000", test["ciede2000"]),
            f"mean CIEDE2000 of {test['num_examples']:,} test pictures",
        ),
        cards=[
            Card("Against grey", f"{change:+.0%}", "colour difference of grey copies"),
            Card(
                "Colourfulness",
                metric_text("colorfulness_ratio", test["colorfulness_ratio"]),
                "of that of the originals",
            ),
            Card("PSNR", metric_text("psnr", test["psnr"])),
        ],
        summary=[
            *method_sections(
                metrics,
                _COLUMNS,
                "CIEDE2000 measures the difference to the true colours; 1 is just "
                "noticeable. Colourfulness is relative to the originals. Pixels within "
                "2% have a lightness, a and b that all differ by at most 2% of the "
                "range.",
            ),
            *_classifier_sections(metrics.get("classifier_accuracy")),
        ],
        details=example_sections(measured, {GREY: "grey", OURS: "coloured"}),
        export=export,
    )


def model_card(facts: RunFacts, metrics: Mapping[str, Any], name: str) -> str:
    """Returns the model card; `name` is that of the model in TF Serving."""
    return picture_model_card(
        facts,
        metrics,
        _COLUMNS,
        channels=3,
        name=name,
        description="Adds plausible colours to grey pictures.",
        intended_use=f"Grey pictures of scenes like those of {facts.dataset.title}.",
        limits=(
            "Colours are guesses: many objects could have had several.",
            "Of colour pictures only the lightness is used.",
            "Chroma is predicted at a low resolution and may bleed over edges.",
        ),
    )


def summarise(metrics: Mapping[str, Any]) -> list[str]:
    """Returns the lines that end a run."""
    lines = summary_lines(metrics, _SUMMARY, [OURS])
    found = metrics.get("classifier_accuracy")
    if found:
        shown = ", ".join(f"{name} {percent(value)}" for name, value in found.items())
        lines.insert(-1, f"Accuracy of the classifier: {shown}")
    return lines


def _classifier_sections(accuracies: Mapping[str, float] | None) -> list[Section]:
    """What a classifier makes of the pictures."""
    if not accuracies:
        return []
    order = (TRUTH, GREY, OURS)
    names = [*order, *(name for name in accuracies if name not in order)]
    return [
        Section(
            title="Accuracy of a classifier",
            note="The classifier was trained on pictures in colour.",
            header=("Pictures", "Accuracy"),
            rows=[(name.capitalize(), percent(accuracies[name])) for name in names],
        )
    ]
