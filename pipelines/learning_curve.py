"""Accuracy by number of labels: a frozen backbone against training from scratch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.console import Console

from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import make_training_dataset, steps_per_epoch
from modelyard.data.splitting import draw_stratified
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_scores
from modelyard.models import build_convnet
from modelyard.pipelines import image_runs
from modelyard.pipelines.frozen_phase import FeatureCache
from modelyard.pipelines.transfer_training import validation_size
from modelyard.training.files import write_json
from modelyard.training.linear_head import fit_linear_head
from modelyard.training.optimizers import SmoothedCrossentropy, make_optimizer
from modelyard.training.run_folder import read_run_json

if TYPE_CHECKING:
    from modelyard.pipelines.transfer_images import Config

_FILE = "learning_curve.json"
# Training from scratch: enough passes for few labels, not too many for all of them.
_SCRATCH_EXAMPLES = 60_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 8, 100
_SCRATCH_BATCH = 64


def label_counts(config: Config, splits: ImageSplits) -> list[int]:
    """Numbers of labels to measure, in order; all of them come last.

    `auto` takes the powers of ten, from two labels a class on.
    """
    most = len(splits.train)
    if not config.learning_curve:
        return []
    if config.learning_curve == "auto":
        tens = [10**k for k in range(1, 9)]
        return [*(n for n in tens if 2 * splits.num_classes <= n < most), most]
    return sorted({*config.learning_curve, most})


def check_label_counts(config: Config, splits: ImageSplits) -> None:
    """Raises ValueError if there are not so many labels, or fewer than classes."""
    most = len(splits.train)
    for count in label_counts(config, splits):
        if not splits.num_classes <= count <= most:
            raise ValueError(
                f"`learning_curve` must have numbers from {splits.num_classes}, one "
                f"label for each class, to {most}, the examples for training. "
                f"Received: learning_curve={tuple(config.learning_curve)}"
            )


def measure_learning_curve(
    config: Config,
    splits: ImageSplits,
    cache: FeatureCache,
    folder: Path,
    console: Console,
) -> list[dict[str, Any]]:
    """Measures every point, going on where an interrupted run stopped.

    Args:
        config: Settings.
        splits: The examples.
        cache: Features of the frozen backbone.
        folder: Run folder; finished points are kept in it.
        console: Where progress is shown.

    Returns:
        For each number of `labels` the test metrics of both: `frozen` and `scratch`,
        with `frozen_seconds` (of the head) and `scratch_seconds`.
    """
    counts = label_counts(config, splits)
    done = (folder / _FILE).exists()
    points = read_run_json(folder, _FILE)["points"] if done else []
    for count in counts[len(points) :]:
        point = _measure_point(config, splits, cache, count, console)
        points.append(point)
        write_json(folder / _FILE, {"points": points})
        console.print(
            f"learning curve: {count:,} labels, frozen backbone "
            f"{point['frozen']['accuracy']:.2%}, from scratch "
            f"{point['scratch']['accuracy']:.2%}  ({point['scratch_seconds']:.1f} s)",
            highlight=False,
        )
    return points


def _measure_point(
    config: Config,
    splits: ImageSplits,
    cache: FeatureCache,
    count: int,
    console: Console,
) -> dict[str, Any]:
    """Trains both on `count` labels and measures them on the test split."""
    rng = np.random.default_rng((config.seed, count))
    rows = draw_stratified(splits.train.labels, count, rng)
    began = time.perf_counter()
    frozen = _frozen_scores(config, splits, cache, rows, rng)
    frozen_seconds = time.perf_counter() - began
    began = time.perf_counter()
    with console.status(f"learning curve: {count:,} labels from scratch"):
        scratch = _scratch_scores(config, splits, splits.train.take(rows))
    labels = splits.test.labels
    return {
        "labels": count,
        "frozen": classification_metrics(frozen, labels),
        "scratch": classification_metrics(scratch, labels),
        "frozen_seconds": frozen_seconds,
        "scratch_seconds": time.perf_counter() - began,
    }


def _frozen_scores(config, splits, cache, rows, rng):
    """Test scores of a head on the features of these training examples."""
    validation = splits.validation
    held_out = draw_stratified(
        validation.labels, validation_size(len(rows), validation.labels), rng
    )
    features, labels = cache.train_features(splits.train, flip=config.flip)
    if config.flip:
        rows = np.concatenate([rows, rows + len(splits.train)])
    head = fit_linear_head(
        features[rows],
        labels[rows],
        cache.features("validation", validation.images)[held_out],
        validation.labels[held_out],
        num_classes=splits.num_classes,
    )
    return head.scores(cache.features("test", splits.test.images))


def _scratch_scores(config: Config, splits: ImageSplits, train: Examples) -> np.ndarray:
    """Test scores of a small network that has seen nothing but these examples."""
    epochs = _SCRATCH_EXAMPLES // len(train)
    epochs = min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)
    batch_size = min(_SCRATCH_BATCH, len(train))
    steps = steps_per_epoch(len(train), batch_size)
    keras.utils.set_random_seed(config.seed)
    model = build_convnet(splits.image_shape, splits.num_classes)
    model.compile(
        make_optimizer(
            "adamw",
            learning_rate=0.004,
            schedule="one_cycle",
            total_steps=steps * epochs,
            warmup_share=0.25,
            weight_decay=0.01,
        ),
        SmoothedCrossentropy(config.label_smoothing),
    )
    dataset = make_training_dataset(
        train.images,
        train.labels,
        batch_size=batch_size,
        seed=config.seed,
        epochs=epochs,
        augmentation=image_runs.augmentation_of(config),
    )
    model.fit(dataset, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    return predict_scores(model, splits.test.images)
