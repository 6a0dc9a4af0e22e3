"""The two phases of transfer learning: a frozen backbone, then its fine-tuning."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from rich.console import Console

from modelyard.data.catalogue import parse_spec
from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.data.splitting import draw_stratified
from modelyard.models.vision.transfer_classifier import (
    BACKBONES,
    build_transfer_classifier,
    rate_scales,
    set_trainable_blocks,
)
from modelyard.pipelines import image_runs
from modelyard.pipelines.frozen_phase import PREDICT_BATCH
from modelyard.pipelines.run_steps import compile_classifier
from modelyard.training.checkpoint import Progress
from modelyard.training.fit import fit_resumably
from modelyard.training.precision import dtype_policy, resolve_precision

if TYPE_CHECKING:
    from modelyard.pipelines.transfer_images import Config


def check_plan(config: Config) -> None:
    """Raises ValueError if the backbone has fewer blocks than are to be trained."""
    count = len(BACKBONES[config.backbone].blocks)
    if isinstance(config.unfreeze_blocks, int) and config.unfreeze_blocks > count:
        raise ValueError(
            f"`unfreeze_blocks` must be at most {count}, the blocks of "
            f"{config.backbone}. Received: unfreeze_blocks={config.unfreeze_blocks}"
        )


def load_splits(config: Config) -> ImageSplits:
    """The examples that the config names, with few for validation where few train.

    Labels for validation are labels too: there are at most a quarter as many of them
    as for training, but one of each class. The pictures of a folder are read at the
    size that the backbone takes, unless another one is given.
    """
    spec = parse_spec(config.dataset)
    if spec.path is not None and spec.size is None:
        mark = "&" if "?" in config.dataset else "?"
        sized = f"{config.dataset}{mark}size={config.image_size}"
        config = dataclasses.replace(config, dataset=sized)
    splits = image_runs.load_splits(config)
    labels = splits.validation.labels
    most = validation_size(len(splits.train), labels)
    if most == len(labels):
        return splits
    chosen = draw_stratified(labels, most, np.random.default_rng(config.seed))
    return dataclasses.replace(splits, validation=splits.validation.take(chosen))


def validation_size(num_labels: int, labels: np.ndarray) -> int:
    """Examples to choose by, of those with `labels`, for that many to train on."""
    return min(len(labels), max(num_labels // 4, len(np.unique(labels))))


def plan_epochs(config: Config, num_examples: int) -> tuple[int, int]:
    """Epochs of the fine-tuning, more for few examples, and the updates of each."""
    steps = steps_per_epoch(num_examples, min(config.batch_size, num_examples))
    if not config.epochs:
        return 0, steps
    return max(config.epochs, math.ceil(config.min_updates / steps)), steps


def build_classifier(
    config: Config, splits: ImageSplits, *, weights: str | None
) -> keras.Model:
    """The classifier in the current dtype policy, seeded."""
    keras.utils.set_random_seed(config.seed)
    return build_transfer_classifier(
        config.backbone,
        splits.image_shape,
        splits.num_classes,
        image_size=config.image_size,
        weights=weights,
        dropout=config.dropout,
    )


def build_frozen(config: Config, splits: ImageSplits) -> keras.Model:
    """The float32 classifier with pretrained weights and a random head."""
    weights = None if config.weights == "none" else config.weights
    with dtype_policy("float32"):
        return build_classifier(config, splits, weights=weights)


def feature_bytes(config: Config, splits: ImageSplits, model: keras.Model) -> int:
    """Bytes of the features that a run keeps."""
    views = 2 if config.flip else 1
    count = views * len(splits.train) + len(splits.validation) + len(splits.test)
    return 4 * count * model.get_layer("features").output.shape[-1]


def fine_tune(
    config: Config,
    splits: ImageSplits,
    model: keras.Model,
    folder: Path,
    console: Console,
) -> tuple[keras.Model, Progress] | None:
    """Second phase: trains the backbone, or its upper blocks, together with the head.

    Args:
        config: Settings.
        splits: The examples.
        model: Float32 classifier with the head of the first phase; left as it is.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        The fine-tuned classifier in float32, and the history; None if it is to be
        left out.
    """
    epochs, steps = plan_epochs(config, len(splits.train))
    if not epochs:
        return None
    with dtype_policy(resolve_precision(config.precision)):
        trained = build_classifier(config, splits, weights=None)
    trained.set_weights(model.get_weights())
    set_trainable_blocks(trained, config.unfreeze_blocks)
    scales = rate_scales(trained, config.rate_decay)
    compile_classifier(trained, config, steps * epochs, rate_scales=scales)
    progress = fit_resumably(
        trained,
        lambda finished: make_training_dataset(
            splits.train.images,
            splits.train.labels,
            batch_size=config.batch_size,
            seed=config.seed,
            epochs=epochs,
            first_epoch=finished,
            augmentation=image_runs.augmentation_of(config),
        ),
        make_evaluation_dataset(
            splits.validation.images,
            splits.validation.labels,
            batch_size=PREDICT_BATCH,
        ),
        epochs=epochs,
        steps_per_epoch=steps,
        folder=folder,
        console=console,
    )
    with dtype_policy("float32"):
        tuned = build_classifier(config, splits, weights=None)
    tuned.set_weights(trained.get_weights())
    return tuned, progress
