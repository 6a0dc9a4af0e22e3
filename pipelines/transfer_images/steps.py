"""From settings to the data sets, features and models of `transfer-images`."""

import dataclasses
from typing import Any

import keras
import numpy as np

from modelyard.data.catalogue import parse_spec
from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
)
from modelyard.data.splitting import draw_stratified
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import Views, predict_scores
from modelyard.models.vision.transfer_classifier import (
    BACKBONES,
    build_transfer_classifier,
    rate_scales,
    set_trainable_blocks,
)
from modelyard.pipelines.common import images
from modelyard.pipelines.common.classification import compile_classifier
from modelyard.pipelines.common.finish import training_timing
from modelyard.pipelines.common.frozen_features import (
    PREDICT_BATCH,
    FeatureCache,
    FrozenPhase,
)
from modelyard.pipelines.common.learning_curve import validation_size
from modelyard.pipelines.transfer_images.config import Config
from modelyard.training.checkpoint import Progress
from modelyard.training.precision import dtype_policy, resolve_precision
from modelyard.training.run import Run


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The classifier that a run keeps, and how it was made.

    Attributes:
        model: The better one of both phases, in float32.
        scores: Its probabilities of the test images, float32 `(n, num_classes)`.
        metrics: The content of `metrics.json`.
        progress: History of the fine-tuning; without epochs if there was none.
    """

    model: keras.Model
    scores: np.ndarray
    metrics: dict[str, Any]
    progress: Progress


def check_unfrozen_blocks(model: str, blocks: Any) -> None:
    """Raises ValueError if the backbone has fewer blocks than are to be trained."""
    count = len(BACKBONES[model].blocks)
    if isinstance(blocks, int) and blocks > count:
        raise ValueError(
            f"`unfreeze_blocks` must be at most {count}, the blocks of "
            f"{model}. Received: unfreeze_blocks={blocks}"
        )


def load_splits(config: Config) -> ImageSplits:
    """Returns the examples, with few for validation where few are for training.

    Labels for validation are labels too: there are at most a quarter as many of them
    as for training, but one of each class. Images of a folder are read at the size that
    the backbone takes, unless another one is given.
    """
    spec = parse_spec(config.dataset)
    if spec.path is not None and spec.size is None:
        mark = "&" if "?" in config.dataset else "?"
        sized = f"{config.dataset}{mark}size={config.network.image_size}"
        config = dataclasses.replace(config, dataset=sized)
    splits = images.load_splits(config)
    labels = splits.validation.labels
    most = validation_size(len(splits.train), labels)
    if most == len(labels):
        return splits
    chosen = draw_stratified(labels, most, np.random.default_rng(config.seed))
    return dataclasses.replace(splits, validation=splits.validation.take(chosen))


def build_frozen(config: Config, splits: ImageSplits) -> keras.Model:
    """Returns the float32 classifier with pretrained weights and a random head."""
    weights = None if config.network.weights == "none" else config.network.weights
    with dtype_policy("float32"):
        return _build_classifier(config, splits, weights=weights)


def feature_bytes(splits: ImageSplits, model: keras.Model, *, flip: bool) -> int:
    """Returns the bytes of the features that a run keeps."""
    count = (1 + flip) * len(splits.train) + len(splits.validation) + len(splits.test)
    return 4 * count * model.get_layer("features").output.shape[-1]


def fine_tune(
    run: Run,
    config: Config,
    splits: ImageSplits,
    model: keras.Model,
    *,
    epochs: int,
    steps_per_epoch: int,
) -> tuple[keras.Model, Progress] | None:
    """Trains the backbone, or its upper blocks, together with the head.

    Args:
        run: The run.
        config: Settings.
        splits: The examples.
        model: Float32 classifier with the head of the first phase; not changed.
        epochs: Epochs, as of `plan_epochs`.
        steps_per_epoch: Updates of each.

    Returns:
        The fine-tuned classifier in float32, and the history; None if it is disabled.
    """
    if not epochs:
        return None
    with dtype_policy(resolve_precision(config.training.precision)):
        trained = _build_classifier(config, splits, weights=None)
    trained.set_weights(model.get_weights())
    set_trainable_blocks(trained, config.training.unfreeze_blocks)
    compile_classifier(
        trained,
        optimization=config.optimization,
        training=config.training,
        learning_rate=config.learning_rate,
        label_smoothing=config.training.label_smoothing,
        total_steps=steps_per_epoch * epochs,
        rate_scales=rate_scales(trained, config.optimization.rate_decay),
    )
    progress = run.fit(
        trained,
        lambda finished: make_training_dataset(
            splits.train.images,
            splits.train.labels,
            batch_size=config.batch_size,
            seed=config.seed,
            epochs=epochs,
            first_epoch=finished,
            augmentation=config.augmentation,
        ),
        make_evaluation_dataset(
            splits.validation.images,
            splits.validation.labels,
            batch_size=PREDICT_BATCH,
        ),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    with dtype_policy("float32"):
        tuned = _build_classifier(config, splits, weights=None)
    tuned.set_weights(trained.get_weights())
    return tuned, progress


def measure(
    run: Run,
    splits: ImageSplits,
    cache: FeatureCache,
    phase: FrozenPhase,
    frozen: keras.Model,
    tuned: tuple[keras.Model, Progress] | None,
    learning_curve: list[dict[str, Any]],
    *,
    views: Views,
    examples_per_epoch: int,
) -> Outcome:
    """Measures both phases and keeps the one with the better validation accuracy.

    Args:
        run: The run.
        splits: The examples.
        cache: Features of the frozen backbone.
        phase: Result of the first phase.
        frozen: Classifier with the head of the first phase.
        tuned: Result of fine-tuning; None if it was disabled.
        learning_curve: Its points; empty if it was not measured.
        views: Test-time augmentation, as for `predict_scores`.
        examples_per_epoch: Examples that an epoch of fine-tuning uses.
    """
    models = {"frozen": frozen}
    progress = Progress()
    if tuned is not None:
        models["fine_tuned"], progress = tuned

    def predict(phase_name, split):
        pictures = getattr(splits, split).images
        if phase_name == "frozen":
            return phase.head.scores(cache.features(split, pictures))
        return predict_scores(
            models[phase_name],
            pictures,
            batch_size=PREDICT_BATCH,
            console=run.console,
        )

    scores, measured = {}, {}
    with run.timed("evaluate"):
        for name in models:
            for split in ("validation", "test"):
                found = scores[split, name] = predict(name, split)
                measured[split, name] = classification_metrics(
                    found, getattr(splits, split).labels
                )
    kept = max(models, key=lambda name: _merit(measured["validation", name]))
    augmented = images.measure_augmented(
        run,
        models[kept],
        splits.test,
        views,
        batch_size=PREDICT_BATCH,
    )
    metrics: dict[str, Any] = {
        "test": measured["test", kept],
        **augmented,
        "validation": measured["validation", kept],
        **{f"{split}_{name}": found for (split, name), found in measured.items()},
        "kept": kept,
        "learning_curve": learning_curve,
        "timing": {
            **run.timing,
            **_training_times(phase, progress, examples_per_epoch),
        },
    }
    return Outcome(models[kept], scores["test", kept], metrics, progress)


def _build_classifier(
    config: Config, splits: ImageSplits, *, weights: str | None
) -> keras.Model:
    """The classifier in the current dtype policy, seeded."""
    keras.utils.set_random_seed(config.seed)
    return build_transfer_classifier(
        config.model,
        splits.image_shape,
        splits.num_classes,
        image_size=config.network.image_size,
        weights=weights,
        dropout=config.network.dropout,
    )


def _merit(measured: dict[str, Any]) -> tuple[float, float]:
    """What is compared: the accuracy, then the log loss."""
    return measured["accuracy"], -measured["log_loss"]


def _training_times(
    phase: FrozenPhase, progress: Progress, examples_per_epoch: int
) -> dict[str, float]:
    """Seconds of both phases, and the speed of the fine-tuning."""
    frozen_seconds = phase.feature_seconds + phase.head_seconds
    timing = {
        "feature_seconds": phase.feature_seconds,
        "head_seconds": phase.head_seconds,
        "frozen_seconds": frozen_seconds,
        "fine_tune_seconds": progress.train_seconds,
        "train_seconds": frozen_seconds + progress.train_seconds,
        "epochs": progress.epoch,
    }
    if progress.epoch:
        # The seconds above are of both phases.
        timing = {**training_timing(progress, examples_per_epoch), **timing}
    return timing
