"""The report and the model card of `denoise-images`."""

from collections.abc import Mapping
from typing import Any

from modelyard.data.images.noise import LEVELS, Noise
from modelyard.pipelines.common.picture_page import (
    example_sections,
    method_sections,
    picture_model_card,
    summary_lines,
)
from modelyard.pipelines.common.pictures import OURS, Measured
from modelyard.pipelines.denoise_images.steps import GIVEN, NOISY
from modelyard.reporting.formats import metric_text
from modelyard.reporting.page import Page
from modelyard.reporting.picture_sections import level_figure
from modelyard.reporting.run_page import ExportFacts, RunFacts, make_run_page
from modelyard.reporting.sections import Card, Section

_COLUMNS = {"psnr": "PSNR", "ssim": "SSIM"}
_OURS = (OURS, GIVEN)


def make_page(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    measured: Measured,
    noise: Noise,
    export: ExportFacts | None,
) -> Page:
    """Makes the report page.

    Args:
        facts: Facts about the run.
        metrics: The content of `metrics.json`.
        measured: The denoised test pictures.
        noise: The noise that was removed.
        export: The export, if there is one.
    """
    test, methods = metrics["test"], metrics["methods"]
    cards = [
        Card("Gain", f"{gain(methods, NOISY):+.2f} dB", "over the noisy input"),
        Card("SSIM", f"{test['ssim']:.4f}"),
    ]
    classical = metrics.get("classical", {})
    best = best_classical(classical)
    if best:
        difference = f"{gain(classical, best):+.2f} dB"
        cards.insert(1, Card("Against classical methods", difference, f"over {best}"))
    return make_run_page(
        facts,
        headline=Card(
            "Test PSNR",
            metric_text("psnr", test["psnr"]),
            f"{test['num_examples']:,} pictures, {describe_noise(noise)}",
        ),
        cards=cards,
        summary=[
            *method_sections(
                metrics,
                _COLUMNS,
                f"All methods get the same noisy pictures ({describe_noise(noise)}). "
                "Classical methods are given the true noise level.",
            ),
            *_level_sections(metrics["levels"], noise),
        ],
        details=example_sections(measured, {NOISY: "noisy", OURS: "denoised"}),
        export=export,
    )


def model_card(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    channels: int,
    noise: Noise,
    name: str,
    *,
    noise_map: bool,
) -> str:
    """Returns the model card; `name` is that of the model in TF Serving."""
    extra = {"denoise": {"noise_level": "float32 (n,), standard deviation, 0 to 255"}}
    return picture_model_card(
        facts,
        metrics,
        _COLUMNS,
        channels=channels,
        name=name,
        description=f"Removes noise from pictures: {describe_noise(noise)}.",
        intended_use=(
            f"Pictures like those of {facts.dataset.title} with noise of this kind and "
            "strength."
        ),
        limits=(
            "Noise of another kind or strength is removed less well.",
            "Fine detail may be taken for noise.",
            *(["Colour pictures come back grey."] if channels == 1 else []),
        ),
        extra_inputs=extra if noise_map else None,
    )


def summarise(metrics: Mapping[str, Any]) -> list[str]:
    """Returns the lines that end a run."""
    return summary_lines(metrics, _COLUMNS, _OURS)


def describe_noise(noise: Noise) -> str:
    """Returns the kind and the level as text."""
    clipped = ", clipped" if noise.clip else ""
    kind = noise.kind.replace("_", " ").replace("gaussian", "Gaussian")
    kind = kind.replace("poisson", "Poisson")
    meaning = {
        "salt_and_pepper": f"{noise.level:.0%} of the pixels",
        "erased_squares": f"side {noise.level:g}",
    }.get(noise.kind, f"standard deviation {noise.level:g}")
    if noise.kind == "poisson":
        meaning += " at white"
    return f"{kind}, {meaning}{clipped}"


def gain(methods: Mapping[str, Mapping[str, Any]], rival: str) -> float:
    """Returns how far the model's PSNR is above that of another method, in dB."""
    return methods[OURS]["psnr"] - methods[rival]["psnr"]


def best_classical(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the classical method with the highest PSNR; empty if there is none."""
    names = [name for name in methods if name not in (NOISY, *_OURS)]
    return max(names, key=lambda name: methods[name]["psnr"], default="")


def _level_sections(lines: Mapping[str, Any], noise: Noise) -> list[Section]:
    """PSNR against the noise level."""
    if not lines:
        return []
    return [
        Section(
            title="PSNR against the noise level",
            note=(
                f"The model was trained for {_trained_levels(noise)}. Up to 50 test "
                "pictures are measured."
            ),
            figure=level_figure(
                lines, f"noise level: {LEVELS[noise.kind].meaning}", "PSNR in dB"
            ),
        )
    ]


def _trained_levels(noise: Noise) -> str:
    """The levels of the training as text."""
    if noise.min_level is None:
        return f"a level of {noise.level:g}"
    return f"levels from {noise.min_level:g} to {noise.level:g}"
