"""From settings to the models and measurements of `encode-images`."""

import functools
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_in_order
from modelyard.evaluation.progress import PredictionProgress
from modelyard.evaluation.reconstruction import reconstruction_metrics
from modelyard.models import (
    build_image_autoencoder,
    build_principal_components,
    fit_principal_components,
)
from modelyard.pipelines.common.fitting import build_and_fit
from modelyard.pipelines.encode_images.config import Config
from modelyard.training.checkpoint import Progress
from modelyard.training.linear_head import fit_linear_head
from modelyard.training.losses import PixelError
from modelyard.training.run import Run

_BATCH = 500


def check_code_size(code_size: int, splits: ImageSplits) -> None:
    """Raises ValueError if PCA cannot make codes of this size.

    It is also the baseline of the autoencoder.
    """
    most = min(int(np.prod(splits.image_shape)), len(splits.train))
    if code_size > most:
        raise ValueError(
            f"`code_size` must be at most {most}, the smaller of the number of pixel "
            "values of an image and the number of training examples. "
            f"Received: code_size={code_size}"
        )


def train(
    run: Run, config: Config, splits: ImageSplits
) -> tuple[keras.Model, Progress]:
    """Trains the model; returns it in float32, with its history."""
    if config.model == "pca":
        with run.timed("build"):
            model = build_principal_components(splits.image_shape, config.code_size)
        run.begin(model)
        return model, Progress(train_seconds=fit_pca(model, splits, config.seed))
    images = splits.train.images
    batch_size = min(config.batch_size, len(images))
    steps = steps_per_epoch(len(images), batch_size)
    build = functools.partial(
        build_image_autoencoder,
        splits.image_shape,
        config.code_size,
        widths=config.network.widths,
    )
    return build_and_fit(
        run,
        build,
        PixelError(),
        lambda finished: make_training_dataset(
            images,
            splits.train.labels,
            batch_size=batch_size,
            seed=config.seed,
            epochs=config.epochs,
            first_epoch=finished,
        ).map(_as_target),
        make_evaluation_dataset(
            splits.validation.images, splits.validation.labels, batch_size=_BATCH
        ).map(_as_target),
        epochs=config.epochs,
        steps_per_epoch=steps,
    )


def fit_pca(model: keras.Model, splits: ImageSplits, seed: int) -> float:
    """Sets the principal components of the training images; returns the seconds."""
    began = time.perf_counter()
    fit_principal_components(model, splits.train.images, seed=seed)
    return time.perf_counter() - began


def measure_pca(
    splits: ImageSplits, code_size: int, seed: int, console: Console
) -> dict[str, Any]:
    """Returns the test metrics of PCA."""
    model = build_principal_components(splits.image_shape, code_size)
    fit_pca(model, splits, seed)
    metrics, _ = measure(model, splits, console)
    return metrics["test"]


def measure(
    model: keras.Model, splits: ImageSplits, console: Console
) -> tuple[dict[str, Any], np.ndarray]:
    """Measures the reconstructions, and a linear probe on the codes.

    Returns:
        Metrics by split, and the reconstructions of the test images, float32
        `(n, height, width, channels)` in [0, 255].
    """
    code = model.get_layer("code").output
    encoder = keras.Model(model.input, code)
    both = keras.Model(model.input, [code, model.output])
    train_codes = _predict(encoder, splits.train.images, "train", console)
    found = {
        name: _predict(both, getattr(splits, name).images, name, console)
        for name in ("validation", "test")
    }
    head = fit_linear_head(
        train_codes,
        splits.train.labels,
        found["validation"][0],
        splits.validation.labels,
        num_classes=splits.num_classes,
    )
    metrics = {}
    for name in ("test", "validation"):
        examples, (codes, reconstructions) = getattr(splits, name), found[name]
        probe = classification_metrics(head.scores(codes), examples.labels)
        metrics[name] = {
            **reconstruction_metrics(examples.images, reconstructions),
            "probe_accuracy": probe["accuracy"],
            "probe_accuracy_interval": probe["accuracy_interval"],
        }
    return metrics, found["test"][1]


def _predict(
    model: keras.Model, images: np.ndarray, title: str, console: Console
) -> Any:
    """Outputs of a model for images."""
    progress = PredictionProgress(
        console,
        f"encoding {title}",
        count=len(images),
        batch_size=_BATCH,
        leaves_line=False,
    )
    return predict_in_order(model, images, _BATCH, progress)


def _as_target(images: tf.Tensor, _labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes the images themselves the targets."""
    return images, images
