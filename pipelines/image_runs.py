"""What runs of the image classifiers share: data, evaluation, exporting."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.pipelines.run_steps import DOCUMENTS, publish_run

if TYPE_CHECKING:
    from modelyard.data.images.augmentation import Augmentation
    from modelyard.data.images.loading import ImageSplits


def load_splits(config: Any) -> ImageSplits:
    """Returns the examples that the config names."""
    from modelyard.data.images.loading import load_images

    return load_images(
        config.dataset,
        validation_share=config.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
    )


def augmentation_of(config: Any) -> Augmentation:
    """Returns the random transformations of the training images."""
    from modelyard.data.images.augmentation import Augmentation

    names = [field.name for field in dataclasses.fields(Augmentation)]
    return Augmentation(**{n: getattr(config, n) for n in names if hasattr(config, n)})


def evaluate_run(
    folder: Path, splits: ImageSplits, *, batch_size: int = 500
) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more.

    Args:
        folder: The run's folder.
        splits: The examples.
        batch_size: Images at a time.
    """
    import keras

    from modelyard.evaluation import classification as metrics
    from modelyard.evaluation.prediction import predict_scores

    model = keras.models.load_model(folder / "model.keras")
    scores = predict_scores(model, splits.test.images, batch_size=batch_size)
    return metrics.classification_metrics(scores, splits.test.labels)


def export_run(folder: Path, config: Any, name: str, *, explain: bool = False) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Args:
        folder: The run's folder.
        config: Its settings.
        name: Name of the export, below the root of the SavedModels.
        explain: Whether it gets the signature `explain`.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    import keras
    import numpy as np

    from modelyard.exporting.image_classifier import export_image_classifier

    def publish():
        with np.load(folder / "examples.npz") as examples:
            images, class_names = examples["images"], examples["class_names"].tolist()
        return export_image_classifier(
            keras.models.load_model(folder / "model.keras"),
            Path(config.saved_models_dir) / name,
            class_names=class_names,
            golden_images=images,
            extra_files=[folder / document for document in DOCUMENTS],
            explain=explain,
        )

    return publish_run(folder, publish)
