"""The report and the model card of `enhance-images`."""

from collections.abc import Mapping
from typing import Any

from modelyard.pipelines.common.picture_page import (
    example_sections,
    method_sections,
    picture_model_card,
    summary_lines,
)
from modelyard.pipelines.common.pictures import OURS, Measured
from modelyard.pipelines.enhance_images.steps import (
    BICUBIC,
    NEAREST,
    psnr_on_luminance,
    usual_border,
)
from modelyard.reporting.formats import metric_text
from modelyard.reporting.page import Page
from modelyard.reporting.run_page import ExportFacts, RunFacts, make_run_page
from modelyard.reporting.sections import Card

_COLUMNS = {"psnr": "PSNR", "ssim": "SSIM"}
_SHOWN = {NEAREST: "input", BICUBIC: "bicubic", OURS: "enhanced"}


def make_page(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    measured: Measured,
    scale: int,
    export: ExportFacts | None,
) -> Page:
    """Makes the report page.

    Args:
        facts: Facts about the run.
        metrics: The content of `metrics.json`.
        measured: The enlarged test pictures.
        scale: Factor of enlargement.
        export: The export, if there is one.
    """
    test, methods = metrics["test"], metrics["methods"]
    gain = test["psnr"] - methods[BICUBIC]["psnr"]
    return make_run_page(
        facts,
        headline=Card(
            "Test PSNR",
            metric_text("psnr", test["psnr"]),
            f"of the luminance, {test['num_examples']:,} pictures enlarged {scale}x",
        ),
        cards=[
            Card("Gain", f"{gain:+.2f} dB", "over bicubic enlargement"),
            Card("SSIM", f"{test['ssim']:.4f}"),
        ],
        summary=method_sections(
            metrics,
            _COLUMNS,
            "Pictures are shrunk with an antialiased bicubic filter, then enlarged. "
            "PSNR and SSIM are of the luminance (ITU-R BT.601, studio range), without "
            f"a border of {usual_border(measured, scale)} pixels.",
        ),
        details=example_sections(measured, _SHOWN, measure=psnr_on_luminance),
        export=export,
    )


def model_card(
    facts: RunFacts, metrics: Mapping[str, Any], channels: int, scale: int, name: str
) -> str:
    """Returns the model card; `name` is that of the model in TF Serving."""
    return picture_model_card(
        facts,
        metrics,
        _COLUMNS,
        channels=channels,
        name=name,
        description=f"Enlarges pictures {scale} times in both directions.",
        intended_use=(
            f"Pictures like those of {facts.dataset.title} that were shrunk with a "
            "good filter."
        ),
        limits=(
            "Noise and JPEG artefacts are enlarged, too.",
            "Detail that the input does not show is a guess.",
            "Only the lightness is refined; colours are enlarged by a bicubic filter.",
            *(["Colour pictures come back grey."] if channels == 1 else []),
        ),
        scale=scale,
    )


def summarise(metrics: Mapping[str, Any]) -> list[str]:
    """Returns the lines that end a run."""
    return summary_lines(metrics, _COLUMNS, [OURS])
