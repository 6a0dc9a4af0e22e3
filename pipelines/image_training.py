"""From the settings of an image classifier to its data sets and models."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from modelyard.data.image_pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.data.loading import ImageSplits
from modelyard.models import BUILDERS, whiten_patches
from modelyard.pipelines import image_runs
from modelyard.training.optimizers import SmoothedCrossentropy, make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision, resolve_xla

if TYPE_CHECKING:
    from modelyard.pipelines.classify_images import Config


def model_options(config: Config) -> dict[str, Any]:
    """Arguments for the builder, from the fields that were given."""
    names = ("activation", "initializer", "dropout", "l2", "widths", "stem")
    given = {n: getattr(config, n) for n in names if getattr(config, n) is not None}
    accepted = inspect.signature(BUILDERS[config.model]).parameters
    for name, value in given.items():
        if name not in accepted:
            raise ValueError(
                f"`{name}` is not an option of the model {config.model}, which "
                f"takes {', '.join(n for n in names if n in accepted)}. "
                f"Received: {name}={value!r}"
            )
    return given


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


def compile_classifier(
    model: keras.Model, config: Any, total_steps: int, **options: Any
) -> None:
    """Compiles a model from pixels to logits as the settings of a run say.

    Args:
        model: The classifier.
        config: Settings of a pipeline of images.
        total_steps: Updates of the whole training.
        **options: Further arguments of `make_optimizer`.
    """
    optimizer = make_optimizer(
        config.optimizer,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        total_steps=total_steps,
        warmup_share=config.warmup_share,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        clip_norm=config.clip_norm,
        ema=config.ema,
        **options,
    )
    model.compile(
        optimizer,
        SmoothedCrossentropy(config.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=resolve_xla(config.xla),
    )


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
