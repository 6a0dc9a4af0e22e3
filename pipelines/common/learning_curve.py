"""Accuracy by number of labels: a frozen backbone against training from scratch."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from modelyard.data.images.augmentation import Augmentation
from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import make_training_dataset, steps_per_epoch
from modelyard.data.splitting import draw_stratified
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_scores
from modelyard.models import build_convnet
from modelyard.pipelines.common.frozen_features import FeatureCache
from modelyard.training.linear_head import fit_linear_head
from modelyard.training.losses import SmoothedCrossentropy
from modelyard.training.optimizers import make_optimizer
from modelyard.training.run import Run
from modelyard.training.run_folder import read_run_json

_FILE = "learning_curve.json"
# Training from scratch: enough passes for few labels, not too many for all of them.
_SCRATCH_EXAMPLES = 60_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 8, 100
_SCRATCH_BATCH = 64


def label_counts(
    wanted: Sequence[int] | Literal["auto"], num_examples: int, num_classes: int
) -> list[int]:
    """Returns the numbers of labels to measure, in order; all of them come last.

    Args:
        wanted: The numbers; `"auto"` for the powers of ten from two labels per class;
            nothing for no learning curve.
        num_examples: Labelled examples for training.
        num_classes: Number of classes.

    Raises:
        ValueError: If a number is larger than `num_examples` or below `num_classes`.
    """
    if not wanted:
        return []
    if wanted == "auto":
        tens = [10**k for k in range(1, 9)]
        counts = [n for n in tens if 2 * num_classes <= n < num_examples]
        return [*counts, num_examples]
    if not all(num_classes <= count <= num_examples for count in wanted):
        raise ValueError(
            f"`learning_curve` must have numbers from {num_classes}, one label for "
            f"each class, to {num_examples}, the examples for training. "
            f"Received: learning_curve={tuple(wanted)}"
        )
    return sorted({*wanted, num_examples})


def validation_size(num_labels: int, labels: np.ndarray) -> int:
    """Returns how many of `labels` validate a training on `num_labels` examples.

    Labels for validation are labels too: there are at most a quarter as many of them as
    for training, but one of each class.
    """
    return min(len(labels), max(num_labels // 4, len(np.unique(labels))))


def measure_learning_curve(
    run: Run,
    counts: Sequence[int],
    splits: ImageSplits,
    cache: FeatureCache,
    *,
    seed: int,
    augmentation: Augmentation,
    label_smoothing: float,
) -> list[dict[str, Any]]:
    """Measures every point; a resumed run continues where it stopped.

    Args:
        run: The run; finished points are kept in its folder.
        counts: Numbers of labels.
        splits: The examples.
        cache: Features of the frozen backbone.
        seed: Seed of the choice of examples, the weights and the data order.
        augmentation: Random transformations of the training images.
        label_smoothing: Share of each label that is spread over all classes.

    Returns:
        For each number of `labels` the test metrics of both: `frozen` and `scratch`,
        with `frozen_seconds` (of the head) and `scratch_seconds`.
    """
    is_resumed = (run.folder / _FILE).exists()
    points = read_run_json(run.folder, _FILE)["points"] if is_resumed else []
    labels = splits.test.labels
    for count in counts[len(points) :]:
        rng = np.random.default_rng((seed, count))
        rows = draw_stratified(splits.train.labels, count, rng)
        began = time.perf_counter()
        frozen = _frozen_scores(splits, cache, rows, rng, flip=augmentation.flip)
        frozen_seconds = time.perf_counter() - began
        began = time.perf_counter()
        with run.console.status(f"learning curve: {count:,} labels from scratch"):
            scratch = _scratch_scores(
                splits, splits.train.take(rows), seed, augmentation, label_smoothing
            )
        point: dict[str, Any] = {
            "labels": count,
            "frozen": classification_metrics(frozen, labels),
            "scratch": classification_metrics(scratch, labels),
            "frozen_seconds": frozen_seconds,
            "scratch_seconds": time.perf_counter() - began,
        }
        points.append(point)
        run.write_json(_FILE, {"points": points})
        run.say(
            f"learning curve: {count:,} labels, frozen backbone "
            f"{point['frozen']['accuracy']:.2%}, from scratch "
            f"{point['scratch']['accuracy']:.2%}  ({point['scratch_seconds']:.1f} s)"
        )
    return points


def _frozen_scores(splits, cache, rows, rng, *, flip):
    """Test scores of a head on the features of these training examples."""
    validation = splits.validation
    held_out = draw_stratified(
        validation.labels, validation_size(len(rows), validation.labels), rng
    )
    features, labels = cache.train_features(splits.train, flip=flip)
    if flip:
        rows = np.concatenate([rows, rows + len(splits.train)])
    head = fit_linear_head(
        features[rows],
        labels[rows],
        cache.features("validation", validation.images)[held_out],
        validation.labels[held_out],
        num_classes=splits.num_classes,
    )
    return head.scores(cache.features("test", splits.test.images))


def _scratch_scores(
    splits: ImageSplits,
    train: Examples,
    seed: int,
    augmentation: Augmentation,
    label_smoothing: float,
) -> np.ndarray:
    """Test scores of a small network trained on these examples alone."""
    epochs = _SCRATCH_EXAMPLES // len(train)
    epochs = min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)
    batch_size = min(_SCRATCH_BATCH, len(train))
    steps = steps_per_epoch(len(train), batch_size)
    keras.utils.set_random_seed(seed)
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
        SmoothedCrossentropy(label_smoothing),
    )
    dataset = make_training_dataset(
        train.images,
        train.labels,
        batch_size=batch_size,
        seed=seed,
        epochs=epochs,
        augmentation=augmentation,
    )
    model.fit(dataset, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    return predict_scores(model, splits.test.images)
