"""What the reports and model cards of pipelines from pictures to pictures share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelyard.evaluation.pictures import psnr_of_each
from modelyard.pipelines.common.pictures import OURS, Measured
from modelyard.reporting.formats import metric_text, quantity
from modelyard.reporting.model_card import CardTable, image_request, model_card_text
from modelyard.reporting.picture_sections import Triplet, triplet_section
from modelyard.reporting.run_page import RunFacts
from modelyard.reporting.sections import Section

_NUM_SAMPLES = 8
_NUM_WORST = 6


def method_sections(
    metrics: Mapping[str, Any], columns: Mapping[str, str], note: str
) -> list[Section]:
    """Returns tables of all methods, on the test split and on further data sets.

    Args:
        metrics: The content of `metrics.json`.
        columns: Headings of the metrics to show, by key.
        note: A sentence or two on what was measured.
    """
    tables = {"Results on the test split": metrics["methods"]}
    if "classical" in metrics:
        tables["Beside classical methods"] = metrics["classical"]
    for spec, found in metrics["evaluated_on"].items():
        tables[f"Results on {spec}"] = found
    return [
        Section(
            title=title,
            note=note if number == 0 else "",
            header=("Method", *columns.values(), "Pictures"),
            rows=_method_rows(found, columns),
        )
        for number, (title, found) in enumerate(tables.items())
    ]


def example_sections(
    measured: Measured,
    shown: Mapping[str, str],
    *,
    measure: Callable[..., np.ndarray] = psnr_of_each,
) -> list[Section]:
    """Shows an even sample of the test pictures, and the worst.

    Args:
        measured: The test pictures.
        shown: Labels of the methods whose pictures are shown, by name.
        measure: Function from the true pictures and those of the model to the PSNR of
            each.
    """
    ratios = measure(measured.truths, measured.results[OURS])
    count = len(measured.truths)
    sample = np.linspace(0, count - 1, min(_NUM_SAMPLES, count)).astype(int)
    worst = np.argsort(ratios, kind="stable")[:_NUM_WORST]
    chosen = {
        "Examples": (
            sample,
            "Evenly spaced through the test split, with PSNR.",
        ),
        "Worst cases": (worst, "The test pictures with the lowest PSNR."),
    }
    return [
        triplet_section(
            title,
            note,
            [
                Triplet(
                    {
                        **{
                            label: measured.results[name][index]
                            for name, label in shown.items()
                        },
                        "original": measured.truths[index],
                    },
                    caption=measured.names[index],
                    note=f"{ratios[index]:.1f} dB",
                )
                for index in indices
            ],
        )
        for title, (indices, note) in chosen.items()
    ]


def summary_lines(
    metrics: Mapping[str, Any], columns: Mapping[str, str], ours: Sequence[str]
) -> list[str]:
    """Returns the lines that end a run.

    Args:
        metrics: The content of `metrics.json`.
        columns: Headings of the metrics to show, by key.
        ours: Names of the methods that are the model itself.
    """

    def line(title, values):
        return f"{title}: " + ", ".join(
            f"{heading} {_text(name, values[name])}"
            for name, heading in columns.items()
        )

    lines = [line("Test", metrics["test"])]
    lines += [
        line(f"  {name}", values)
        for name, values in metrics["methods"].items()
        if name not in ours
    ]
    for name, values in metrics.get("classical", {}).items():
        lines.append(line(f"  {name} ({values['num_examples']:,} pictures)", values))
    for spec, found in metrics["evaluated_on"].items():
        lines += [line(f"{spec}, {name}", values) for name, values in found.items()]
    seconds = quantity(metrics["timing"]["train_seconds"], "seconds")
    return [*lines, f"Trained in {seconds}"]


def picture_model_card(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    columns: Mapping[str, str],
    *,
    channels: int,
    name: str,
    description: str,
    intended_use: str,
    limits: Sequence[str],
    scale: int = 1,
    extra_inputs: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Returns the model card of a model from pictures to pictures.

    Args:
        facts: Facts about the run.
        metrics: The content of `metrics.json`.
        columns: Headings of the metrics to show, by key.
        channels: Channels of the pictures.
        name: Name of the model in TF Serving.
        description: What the model does, in a sentence.
        intended_use: What it is for.
        limits: What it does badly, a sentence each.
        scale: Factor by which it enlarges pictures.
        extra_inputs: Further signatures, with their inputs beside `pixels`.
    """
    times = "" if scale == 1 else f"{scale} * "
    pixels = {"pixels": f"float32 (n, height, width, {channels}) in [0, 255]"}
    answers = {
        "picture": (
            f"float32 (n, {times}height, {times}width, {channels}) in [0, 255]"
        ),
        "picture_bytes": "string (n,), PNG files",
    }
    signatures = {
        "serving_default": {"inputs": pixels, "outputs": answers},
        "serve_bytes": {
            "inputs": {"image_bytes": "string (n,), JPEG, PNG, GIF or BMP files"},
            "outputs": answers,
        },
        **{
            signature: {"inputs": {**pixels, **more}, "outputs": answers}
            for signature, more in (extra_inputs or {}).items()
        },
    }
    tables = {"Test split": metrics["methods"], **metrics["evaluated_on"]}
    return model_card_text(
        facts,
        description=description,
        intended_use=intended_use,
        limits=(
            "The pictures of a request must have the same size.",
            "Transparency is ignored, as are all frames of an animation but the first.",
            *limits,
        ),
        metrics=[
            CardTable(
                (title, *columns.values(), "Pictures"), _method_rows(found, columns)
            )
            for title, found in tables.items()
        ],
        signatures=signatures,
        example_request=image_request(name),
    )


def _method_rows(
    found: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """The metrics of each method as text."""
    return [
        (
            method.capitalize() if method.islower() else method,
            *(_text(name, values.get(name)) for name in columns),
            f"{values['num_examples']:,}",
        )
        for method, values in found.items()
    ]


def _text(name: str, value: float | None) -> str:
    """A metric, or nothing where there is none."""
    return "" if value is None else metric_text(name, value)
