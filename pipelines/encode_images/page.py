"""The report and the model card of `encode-images`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelyard.evaluation.pictures import psnr_of_each
from modelyard.reporting.figures import enlarged_uri
from modelyard.reporting.formats import metric_text, percent, quantity
from modelyard.reporting.model_card import CardTable, image_request, model_card_text
from modelyard.reporting.page import Page
from modelyard.reporting.run_page import ExportFacts, RunFacts, make_run_page
from modelyard.reporting.sections import Card, Picture, Section

_COLUMNS = {
    "psnr": "PSNR",
    "mean_squared_error": "Mean squared error",
    "explained_variance": "Explained variance",
    "probe_accuracy": "Linear probe",
}
_NUM_PICTURES = 24
_NUM_WORST = 12


def make_page(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    images: np.ndarray,
    reconstructions: np.ndarray,
    code_size: int,
    export: ExportFacts | None,
) -> Page:
    """Makes the report page.

    Args:
        facts: Facts about the run.
        metrics: The content of `metrics.json`.
        images: Test images, uint8 `(n, height, width, channels)`.
        reconstructions: Their reconstructions, float32, in [0, 255].
        code_size: Numbers of a code.
        export: The export, if there is one.
    """
    test = metrics["test"]
    values = int(np.prod(images.shape[1:]))
    low, high = test["probe_accuracy_interval"]
    return make_run_page(
        facts,
        headline=Card(
            "Test PSNR",
            metric_text("psnr", test["psnr"]),
            f"{code_size} numbers for {values:,} pixel values, "
            f"from {test['num_examples']:,} test images",
        ),
        cards=[
            Card(
                "Mean squared error",
                f"{test['mean_squared_error']:.4g}",
                "of pixels in [0, 1]",
            ),
            Card("Explained variance", percent(test["explained_variance"])),
            Card(
                "Linear probe",
                percent(test["probe_accuracy"]),
                f"95% interval {percent(low)} to {percent(high)}",
            ),
        ],
        summary=[_comparison_section(metrics)],
        details=_picture_sections(images, reconstructions),
        export=export,
    )


def model_card(
    facts: RunFacts,
    metrics: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    code_size: int,
    name: str,
) -> str:
    """Returns the model card; `name` is that of the model in TF Serving."""
    height, width, channels = image_shape
    pixels = {"pixels": f"float32 (n, {height}, {width}, {channels}) in [0, 255]"}
    codes = {"codes": f"float32 (n, {code_size})"}
    encode = {"inputs": pixels, "outputs": codes}
    images = {
        "reconstruction": pixels["pixels"],
        "reconstruction_bytes": "string (n,), PNG files",
    }
    image_bytes = {"image_bytes": "string (n,), JPEG, PNG, GIF or BMP files"}
    return model_card_text(
        facts,
        description=f"Encodes an image as {code_size} numbers, and decodes them.",
        intended_use=(
            f"Compression, search and visualisation of images like those of "
            f"{facts.dataset.title}, and features for small classifiers."
        ),
        limits=(
            f"Images are resized to {width}x{height} pixels.",
            "Images unlike those of the data set are reconstructed poorly.",
        ),
        metrics=[CardTable(("Split", *_COLUMNS.values()), _rows(metrics))],
        signatures={
            "serving_default": encode,
            "encode": encode,
            "reconstruct": {"inputs": pixels, "outputs": images},
            "serve_bytes": {"inputs": image_bytes, "outputs": codes},
        },
        example_request=image_request(name),
    )


def summarise(metrics: Mapping[str, Any]) -> list[str]:
    """Returns the lines that end a run."""
    titles = {"test": "Test", "pca": "  PCA with codes of the same size"}
    lines = [
        f"{title}: PSNR {metrics[split]['psnr']:.2f} dB, explained variance "
        f"{metrics[split]['explained_variance']:.2%}, linear probe "
        f"{metrics[split]['probe_accuracy']:.2%}"
        for split, title in titles.items()
        if split in metrics
    ]
    seconds = quantity(metrics["timing"]["train_seconds"], "seconds")
    return [*lines, f"Trained in {seconds}"]


def _rows(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The metrics of this run by split, and of the PCA beside an autoencoder."""
    titles = {"test": "Test", "validation": "Validation", "pca": "Test, PCA"}
    return [
        (title, *(metric_text(name, metrics[split][name]) for name in _COLUMNS))
        for split, title in titles.items()
        if split in metrics
    ]


def _comparison_section(metrics: Mapping[str, Any]) -> Section:
    """This run, and PCA."""
    return Section(
        title="Results",
        note=(
            "PCA with codes of the same size is the linear baseline. The linear probe "
            "is a logistic regression that predicts the classes from the codes."
        ),
        header=("Split", *_COLUMNS.values()),
        rows=_rows(metrics),
    )


def _picture_sections(images: np.ndarray, reconstructions: np.ndarray) -> list[Section]:
    """Originals beside their reconstructions: a sample, and the worst."""
    rounded = np.rint(reconstructions).astype(np.uint8)
    ratios = psnr_of_each(list(images), list(reconstructions))
    sample = np.linspace(0, len(images) - 1, min(_NUM_PICTURES, len(images)), dtype=int)
    worst = np.argsort(ratios, kind="stable")[:_NUM_WORST]
    chosen = {
        "Originals and reconstructions": (
            sample,
            "Evenly spaced through the test split",
        ),
        "Largest errors": (worst, "The test images with the largest error"),
    }
    return [
        Section(
            title=title,
            note=f"{note}, each beside its reconstruction, with its PSNR.",
            pictures=[
                Picture(
                    {
                        "original": enlarged_uri(images[i]),
                        "reconstruction": enlarged_uri(rounded[i]),
                    },
                    note=f"{ratios[i]:.1f} dB",
                )
                for i in indices
            ],
        )
        for title, (indices, note) in chosen.items()
    ]
