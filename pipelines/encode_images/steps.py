"""From settings to the models and measurements of `encode-images`."""

import dataclasses
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
from modelyard.pipelines.encode_images.config import Config
from modelyard.training.checkpoint import Progress
from modelyard.training.linear_head import fit_linear_head
from modelyard.training.losses import PixelError
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision, resolve_xla
from modelyard.training.run import Run

_BATCH = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """Measurements of an encoder.

    Attributes:
        metrics: Reconstruction and linear probe, by split.
        reconstructions: Of the test images, float32
            `(n, height, width, channels)` in [0, 255].
    """

    metrics: dict[str, Any]
    reconstructions: np.ndarray


def build_model(config: Config, splits: ImageSplits) -> keras.Model:
    """Returns the untrained autoencoder in the current dtype policy, seeded."""
    keras.utils.set_random_seed(config.seed)
    widths = config.network.widths
    return build_image_autoencoder(splits.image_shape, config.code_size, widths=widths)


def train(
    run: Run, config: Config, splits: ImageSplits
) -> tuple[keras.Model, Progress]:
    """Trains the model; returns it in float32, with its history."""
    if config.model == "pca":
        model, seconds = fit_pca(splits, config.code_size, config.seed)
        run.begin(model)
        return model, Progress(train_seconds=seconds)
    images = splits.train.images
    batch_size = min(config.batch_size, len(images))
    steps = steps_per_epoch(len(images), batch_size)
    with dtype_policy(resolve_precision(config.training.precision)):
        trained = build_model(config, splits)
    optimizer = make_optimizer(
        **vars(config.optimization),
        learning_rate=config.learning_rate,
        total_steps=steps * config.epochs,
    )
    trained.compile(
        optimizer, PixelError(), jit_compile=resolve_xla(config.training.xla)
    )
    run.begin(trained)
    progress = run.fit(
        trained,
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
    model = build_model(config, splits)
    model.set_weights(trained.get_weights())
    return model, progress


def fit_pca(
    splits: ImageSplits, code_size: int, seed: int
) -> tuple[keras.Model, float]:
    """Returns the model of principal components, and the seconds it took."""
    began = time.perf_counter()
    model = build_principal_components(splits.image_shape, code_size)
    fit_principal_components(model, splits.train.images, seed=seed)
    return model, time.perf_counter() - began


def measure(model: keras.Model, splits: ImageSplits, console: Console) -> Outcome:
    """Measures the reconstructions, and a linear probe on the codes."""
    outputs = [model.get_layer("code").output, model.output]
    both = keras.Model(model.input, outputs)
    found = {
        name: _predict(both, getattr(splits, name).images, name, console)
        for name in ("train", "validation", "test")
    }
    head = fit_linear_head(
        found["train"][0],
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
    return Outcome(metrics, found["test"][1])


def _predict(
    model: keras.Model, images: np.ndarray, title: str, console: Console
) -> Any:
    """Codes and reconstructions of images."""
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
