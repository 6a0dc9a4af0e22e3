"""What the image classification pipelines share: data, evaluation and exporting."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits, load_images
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import Views, predict_scores
from modelyard.evaluation.references import find_references
from modelyard.exporting.image_classifier import export_image_classifier
from modelyard.pipelines.common.finish import load_finished
from modelyard.pipelines.common.publishing import publish_run
from modelyard.reporting.classes import (
    ClassificationResults,
    card_tables,
    measured_limits,
)
from modelyard.reporting.model_card import image_request, model_card_text
from modelyard.reporting.run_page import RunFacts
from modelyard.training.files import write_atomically
from modelyard.training.run import Run

PREDICT_INPUTS = "IMAGE..."
_GOLDEN_EXAMPLES = 8
_EXAMPLES_FILE = "examples.npz"


def load_splits(config: Any) -> ImageSplits:
    """Loads the examples that the config of an image pipeline selects."""
    return load_images(
        config.dataset,
        validation_share=config.data.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
    )


def describe_examples(splits: ImageSplits) -> str:
    """Returns the number of classes and the shape of an image as text."""
    shape = "x".join(map(str, splits.image_shape))
    return f"{splits.num_classes} classes, {shape}"


def save_with_examples(run: Run, model: keras.Model, splits: ImageSplits) -> None:
    """Writes `model.keras`, and the test images that its export is checked with."""
    run.save(model)
    images = splits.test.images[:_GOLDEN_EXAMPLES]
    names = np.array(splits.class_names)
    write_atomically(
        run.folder / _EXAMPLES_FILE,
        lambda file: np.savez(file, images=images, class_names=names),
    )


def read_examples(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Returns the images that `save_with_examples` wrote, and the class names."""
    with np.load(folder / _EXAMPLES_FILE) as examples:
        return examples["images"], examples["class_names"].tolist()


def measure_augmented(
    run: Run,
    model: keras.Model,
    test: Examples,
    views: Views,
    *,
    batch_size: int = 500,
) -> dict[str, Any]:
    """Measures a classifier with test-time augmentation, if it is enabled.

    Args:
        run: The run, which records the seconds.
        model: The classifier, from pixels to logits.
        test: The test images.
        views: As for `predict_scores`.
        batch_size: Images at a time.

    Returns:
        Test metrics under the name `test_tta`; nothing if `views` is `"none"`.
    """
    if views == "none":
        return {}
    with run.timed("tta"):
        scores = predict_scores(
            model,
            test.images,
            views=views,
            batch_size=batch_size,
            console=run.console,
        )
    return {"test_tta": classification_metrics(scores, test.labels)}


def gather_results(
    model: str,
    splits: ImageSplits,
    scores: np.ndarray,
    metrics: Mapping[str, Mapping[str, Any]],
) -> ClassificationResults:
    """Gathers the results of an image classifier for its page.

    Args:
        model: Name of the model.
        splits: The examples.
        scores: Probabilities of the test images, float32 `(n, num_classes)`.
        metrics: Metrics by split, and `timing`, which is left out.
    """
    return ClassificationResults(
        class_names=splits.class_names,
        labels=splits.test.labels,
        scores=scores,
        metrics={name: found for name, found in metrics.items() if name != "timing"},
        images=splits.test.images,
        references=find_references(splits.card.name, model),
    )


def image_classifier_card(
    facts: RunFacts,
    results: ClassificationResults,
    image_shape: tuple[int, int, int],
    name: str,
    *,
    explain: bool = False,
) -> str:
    """Returns the model card of an image classifier.

    Args:
        facts: Facts about the run.
        results: Its predictions and metrics.
        image_shape: `(height, width, channels)`.
        name: Name of the model in TF Serving.
        explain: Whether the export has the signature `explain`.
    """
    height, width, channels = image_shape
    classes = len(results.class_names)
    pixels = f"float32 (n, {height}, {width}, {channels}) in [0, 255]"
    answers = {
        "scores": f"float32 (n, {classes}), probabilities",
        "classes": f"string (n, {classes}), class names in the order of the scores",
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
            "outputs": {"embedding": "float32 (n, d), input of the last layer"},
        },
    }
    if explain:
        heat_maps = (
            f"float32 (n, {height}, {width}) in [0, 1], evidence for the class "
            "with the highest score"
        )
        signatures["explain"] = {
            "inputs": {"pixels": pixels},
            "outputs": {**answers, "heat_maps": heat_maps},
        }
    return model_card_text(
        facts,
        description=f"A classifier of {classes} classes: "
        f"{', '.join(results.class_names)}.",
        intended_use=(
            f"Classification of images like those of {facts.dataset.title} into its "
            f"{classes} classes."
        ),
        limits=(
            f"Images are resized to {width}x{height} pixels.",
            *measured_limits(results),
        ),
        metrics=card_tables(results),
        signatures=signatures,
        example_request=image_request(name),
    )


def evaluate_classifier(
    folder: Path,
    config_class: type,
    *,
    load_splits: Callable[[Any], ImageSplits] = load_splits,
    batch_size: int = 500,
) -> dict[str, Any]:
    """Measures the classifier of a finished run on the test split again.

    Args:
        folder: The run's folder.
        config_class: Class of its config.
        load_splits: Function from the config to the examples.
        batch_size: Images at a time.
    """
    config, model = load_finished(folder, config_class)
    test = load_splits(config).test
    scores = predict_scores(model, test.images, batch_size=batch_size)
    return classification_metrics(scores, test.labels)


def export_classifier(
    folder: Path, config_class: type, *, task: str, explain: bool = False
) -> Path:
    """Publishes the classifier of a finished run as a SavedModel; returns its path.

    Args:
        folder: The run's folder.
        config_class: Class of its config.
        task: Name of the pipeline.
        explain: Whether the export gets the signature `explain`.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, _):
        images, class_names = read_examples(folder)
        return export_image_classifier(
            model,
            base,
            task=task,
            class_names=class_names,
            golden_images=images,
            extra_files=documents,
            explain=explain,
        )

    return publish_run(folder, config_class, publish)
