"""From the settings of an image classifier to its data sets and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.models import BUILDERS, whiten_patches
from modelyard.pipelines import image_runs
from modelyard.pipelines.run_steps import builder_options, compile_classifier
from modelyard.training.precision import dtype_policy, resolve_precision

if TYPE_CHECKING:
    from modelyard.pipelines.classify_images import Config


def model_options(config: Config) -> dict[str, Any]:
    """Arguments for the builder, from the fields that were given."""
    names = ("activation", "initializer", "dropout", "l2", "widths", "stem")
    return builder_options(config, BUILDERS[config.model], names)


def batch_size(config: Config, splits: ImageSplits) -> int:
    """Examples per update, at most all of them."""
    count = len(splits.train)
    return count if config.batch_size == "full" else min(config.batch_size, count)


def compile_model(
    config: Config, splits: ImageSplits, options: dict[str, Any]
) -> tuple[keras.Model, int]:
    """The model to train, seeded, and the updates of an epoch."""
    steps = steps_per_epoch(len(splits.train), batch_size(config, splits))
    keras.utils.set_random_seed(config.seed)
    shape: tuple[int | None, int | None, int] = splits.image_shape
    if config.small_share:
        shape = (None, None, shape[2])
    with dtype_policy(resolve_precision(config.precision)):
        model = BUILDERS[config.model](shape, splits.num_classes, **options)
        if config.model == "fast_cifar_net":
            whiten_patches(model, splits.train.images)
        compile_classifier(
            model, config, steps * config.epochs, nesterov=config.nesterov
        )
    return model, steps


def training_dataset(
    config: Config, splits: ImageSplits, finished: int
) -> tf.data.Dataset:
    """Batches of all epochs after the finished ones."""
    return make_training_dataset(
        splits.train.images,
        splits.train.labels,
        batch_size=batch_size(config, splits),
        seed=config.seed,
        epochs=config.epochs,
        first_epoch=finished,
        augmentation=image_runs.augmentation_of(config),
        small_epochs=int(config.small_share * config.epochs),
    )


def validation_dataset(splits: ImageSplits) -> tf.data.Dataset:
    """The validation examples, in order."""
    return make_evaluation_dataset(
        splits.validation.images, splits.validation.labels, batch_size=500
    )


def as_float32(
    trained: keras.Model, config: Config, splits: ImageSplits, options: dict[str, Any]
) -> keras.Model:
    """The trained model for use: float32 throughout, without its optimizer.

    It is what gets measured, saved and served, so all three say the same.
    """
    with dtype_policy("float32"):
        model = BUILDERS[config.model](
            splits.image_shape, splits.num_classes, **options
        )
    model.set_weights(trained.get_weights())
    return model
