"""From settings to the data sets and models of `classify-images`."""

from typing import Any

import keras
import tensorflow as tf

from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.models import BUILDERS, whiten_patches
from modelyard.pipelines.classify_images.config import Config, Network
from modelyard.pipelines.common.classification import (
    builder_options,
    compile_classifier,
)
from modelyard.training.precision import dtype_policy, resolve_precision

_OPTIONS = ("activation", "initializer", "dropout", "l2", "widths", "stem")


def model_options(model: str, network: Network) -> dict[str, Any]:
    """Returns the arguments for the builder, from the settings that were given."""
    return builder_options(model, BUILDERS[model], network, _OPTIONS)


def effective_batch_size(batch_size: Any, num_examples: int) -> int:
    """Returns the examples per update: at most all of them."""
    return num_examples if batch_size == "full" else min(batch_size, num_examples)


def compile_model(
    config: Config, splits: ImageSplits, options: dict[str, Any]
) -> tuple[keras.Model, int]:
    """Returns the model to train, seeded, and the updates of an epoch."""
    batch_size = effective_batch_size(config.batch_size, len(splits.train))
    steps = steps_per_epoch(len(splits.train), batch_size)
    keras.utils.set_random_seed(config.seed)
    shape: tuple[int | None, int | None, int] = splits.image_shape
    if config.training.small_share:
        shape = (None, None, shape[2])
    with dtype_policy(resolve_precision(config.training.precision)):
        model = BUILDERS[config.model](shape, splits.num_classes, **options)
        if config.model == "fast_cifar_net":
            whiten_patches(model, splits.train.images)
        compile_classifier(
            model,
            optimization=config.optimization,
            training=config.training,
            learning_rate=config.learning_rate,
            label_smoothing=config.training.label_smoothing,
            total_steps=steps * config.epochs,
            nesterov=config.optimization.nesterov,
        )
    return model, steps


def training_dataset(
    config: Config, splits: ImageSplits, finished: int
) -> tf.data.Dataset:
    """Returns the batches of all epochs after the finished ones."""
    return make_training_dataset(
        splits.train.images,
        splits.train.labels,
        batch_size=effective_batch_size(config.batch_size, len(splits.train)),
        seed=config.seed,
        epochs=config.epochs,
        first_epoch=finished,
        augmentation=config.augmentation,
        small_epochs=int(config.training.small_share * config.epochs),
    )


def validation_dataset(splits: ImageSplits) -> tf.data.Dataset:
    """Returns the validation examples, in order."""
    return make_evaluation_dataset(
        splits.validation.images, splits.validation.labels, batch_size=500
    )


def as_float32(
    trained: keras.Model, model: str, splits: ImageSplits, options: dict[str, Any]
) -> keras.Model:
    """Returns the trained model in float32, without its optimizer.

    Evaluation, saving and serving all use this model, so their results agree.
    """
    with dtype_policy("float32"):
        copy = BUILDERS[model](splits.image_shape, splits.num_classes, **options)
    copy.set_weights(trained.get_weights())
    return copy
