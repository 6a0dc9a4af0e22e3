"""What comes out of a classification run: metrics, files, report, summary."""

import dataclasses
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rich.console import Console

from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import steps_per_epoch
from modelyard.data.texts.loading import TextSplits
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import Views, predict_scores
from modelyard.evaluation.references import find_references
from modelyard.pipelines.summaries import predict_command, split_sizes
from modelyard.reporting.model_card import model_card_text
from modelyard.reporting.report import DatasetFacts, Report, write_report
from modelyard.reporting.sections import Section
from modelyard.training import run_folder as runs
from modelyard.training.checkpoint import Progress
from modelyard.training.files import storage_errors, write_atomically, write_text

_GOLDEN_EXAMPLES = 8


def save_classifier(folder: Path, model: keras.Model, splits: ImageSplits) -> None:
    """Writes `model.keras`, and a few test images to export it with."""
    save_model(folder, model)
    images = splits.test.images[:_GOLDEN_EXAMPLES]
    names = np.array(splits.class_names)
    write_atomically(
        folder / "examples.npz",
        lambda file: np.savez(file, images=images, class_names=names),
    )


def save_model(folder: Path, model: keras.Model, name: str = "model.keras") -> None:
    """Writes a model into the folder of a run, whole or not at all."""
    path = folder / name
    partial = folder / f".partial-{name}"
    with storage_errors(path):
        try:
            model.save(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def measure(
    model: keras.Model,
    splits: ImageSplits,
    progress: Progress,
    *,
    batch_size: int,
    views: Views,
    timing: dict[str, float],
    console: Console,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Measures a trained model.

    Args:
        model: The trained model, from pixels to logits.
        splits: The examples.
        progress: History of the training.
        batch_size: Examples per update.
        views: Test-time augmentation, as for `predict_scores`.
        timing: Seconds that were spent before the training, by name.
        console: Where progress is shown.

    Returns:
        The probabilities of the test images, float32 `(n, num_classes)`, and the
        content of `metrics.json`.
    """
    metrics: dict[str, Any] = {}
    began = time.perf_counter()
    scores = predict_scores(model, splits.test.images, console=console)
    evaluate_seconds = time.perf_counter() - began
    metrics["test"] = classification_metrics(scores, splits.test.labels)
    if views != "none":
        began = time.perf_counter()
        augmented = predict_scores(
            model, splits.test.images, views=views, console=console
        )
        timing = {**timing, "tta_seconds": time.perf_counter() - began}
        metrics["test_tta"] = classification_metrics(augmented, splits.test.labels)
    validation = predict_scores(model, splits.validation.images)
    metrics["validation"] = classification_metrics(validation, splits.validation.labels)
    seen = steps_per_epoch(len(splits.train), batch_size) * batch_size
    metrics["timing"] = {
        **timing,
        **training_timing(progress, seen),
        "evaluate_seconds": evaluate_seconds,
    }
    return scores, metrics


def training_timing(progress: Progress, examples_per_epoch: int) -> dict[str, Any]:
    """Returns what `metrics.json` says of the speed of the training."""
    seconds = progress.train_seconds
    return {
        "train_seconds": seconds,
        "epochs": progress.epoch,
        "examples_per_second": examples_per_epoch * progress.epoch / seconds,
        "input_wait_share": progress.input_wait_seconds / seconds,
    }


def make_report(
    folder: Path,
    splits: ImageSplits | TextSplits,
    scores: np.ndarray,
    metrics: dict[str, Any],
    progress: Progress,
    *,
    images: np.ndarray | None = None,
    sections: Sequence[Section] = (),
) -> Report:
    """Gathers what the page of a run shows.

    Args:
        folder: The run's folder, with `config.json` and `environment.json`.
        splits: The examples.
        scores: Probabilities of the test examples, float32 `(n, num_classes)`.
        metrics: The content of `metrics.json`.
        progress: History of the training.
        images: The test images, uint8 `(n, height, width, channels)`, if it is them.
        sections: Parts of the page that this kind of run has besides.
    """
    config = runs.read_run_json(folder, "config.json")
    card = splits.card
    model = config["model" if "model" in config else "backbone"]
    return Report(
        title=f"{config['dataset']}: {model}",
        subtitle=(
            f"{card.title}; {config['pipeline']}, recipe {config['recipe']}, "
            f"seed {config['seed']}"
        ),
        config=config,
        environment=runs.read_run_json(folder, "environment.json"),
        history=pd.DataFrame(progress.history),
        metrics=metrics,
        class_names=splits.class_names,
        images=images,
        labels=splits.test.labels,
        scores=scores,
        dataset=DatasetFacts(
            title=card.title,
            licence=card.licence,
            citation=card.citation,
            url=card.url,
            split_sizes=split_sizes(splits),
        ),
        findings=splits.findings,
        references=find_references(card.name, model),
        sections=sections,
    )


def write_model_card(
    folder: Path,
    report: Report,
    name: str,
    image_shape: tuple[int, int, int],
    *,
    explain: bool = False,
) -> None:
    """Writes the model card of a run, which travels with its exports.

    Args:
        folder: The run's folder.
        report: The facts.
        name: Name of the model in TF Serving.
        image_shape: `(height, width, channels)`.
        explain: Whether the export has the signature `explain`.
    """
    height, width, channels = image_shape
    classes = len(report.class_names)
    pixels = f"float32 (n, {height}, {width}, {channels}) in [0, 255]"
    answers = {
        "scores": f"float32 (n, {classes}), probabilities",
        "classes": f"string (n, {classes}), the names beside them",
    }
    signatures = {
        "serving_default": {"inputs": {"pixels": pixels}, "outputs": answers},
        "serve_bytes": {
            "inputs": {"image_bytes": "string (n,), JPEG, PNG, GIF or BMP files"},
            "outputs": answers,
        },
        "classify": {
            "inputs": {
                "inputs": "string (n,), tf.Examples with the bytes feature `image`"
            },
            "outputs": answers,
        },
        "embed": {
            "inputs": {"pixels": pixels},
            "outputs": {"embedding": "float32 (n, d), what the last layer sees"},
        },
    }
    if explain:
        heat_maps = (
            f"float32 (n, {height}, {width}) in [0, 1], what speaks for the class "
            "with the highest score"
        )
        signatures["explain"] = {
            "inputs": {"pixels": pixels},
            "outputs": {**answers, "heat_maps": heat_maps},
        }
    card = model_card_text(
        report,
        intended_use=(
            f"Telling apart the {classes} classes of {report.dataset.title}, in "
            "pictures like those it was trained on."
        ),
        limits=(
            f"Pictures are resized to {width}x{height} pixels.",
            "Orientation tags in JPEG files are not followed.",
        ),
        signatures=signatures,
        example_request=(
            "curl http://localhost:8501/v1/models/"
            f'{name}:predict -d \'{{"signature_name": "serve_bytes", '
            '"instances": [{"b64": "\'$(base64 -w0 picture.png)\'"}]}\''
        ),
    )
    write_text(folder / "MODEL_CARD.md", card)


def finish_report(
    folder: Path, report: Report, exported: Path | None, *, inputs: str = "IMAGE..."
) -> None:
    """Writes `report.html`, with the commands that use the export.

    Args:
        folder: The run's folder.
        report: What to show.
        exported: The export, if there is one.
        inputs: What `modelyard predict` takes, as in its help.
    """
    if exported is not None:
        base = exported.resolve().parent
        report = dataclasses.replace(
            report,
            export_path=str(exported),
            predict_command=predict_command(exported, inputs),
            serve_command=(
                f"tensorflow_model_server --rest_api_port=8501 "
                f"--model_name={base.name} --model_base_path={shlex.quote(str(base))}"
            ),
        )
    write_report(folder / "report.html", report)
