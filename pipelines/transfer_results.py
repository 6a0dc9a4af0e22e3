"""What comes out of transfer learning: both phases measured, and their report."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.console import Console

from modelyard.data.images.loading import ImageSplits
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_scores
from modelyard.pipelines import summaries
from modelyard.pipelines.classification_results import training_timing
from modelyard.pipelines.frozen_phase import PREDICT_BATCH, FeatureCache, FrozenPhase
from modelyard.pipelines.transfer_training import plan_epochs
from modelyard.training.checkpoint import Progress

if TYPE_CHECKING:
    from modelyard.pipelines.transfer_images import Config


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The classifier that a run keeps, and how it came to be.

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


def describe_head(phase: FrozenPhase) -> str:
    """Returns a line on the first phase."""
    return (
        f"frozen backbone: features {phase.feature_seconds:.1f} s, linear head "
        f"{phase.head_seconds:.1f} s, L2 {phase.head.l2:g}; log loss on validation "
        f"{phase.validation_loss:.4f}, accuracy {phase.validation_accuracy:.2%}"
    )


def measure(
    config: Config,
    splits: ImageSplits,
    cache: FeatureCache,
    phase: FrozenPhase,
    frozen: keras.Model,
    tuned: tuple[keras.Model, Progress] | None,
    learning_curve: list[dict[str, Any]],
    timing: dict[str, float],
    console: Console,
) -> Outcome:
    """Measures both phases and keeps the one with the better validation accuracy.

    Args:
        config: Settings.
        splits: The examples.
        cache: Features of the frozen backbone.
        phase: What the first phase gave.
        frozen: Classifier with the head of the first phase.
        tuned: What fine-tuning gave; None if it was left out.
        learning_curve: Its points; none if it was not measured.
        timing: Seconds that were spent before the training, by name.
        console: Where progress is shown.
    """
    began = time.perf_counter()
    phases = {
        "frozen": (
            frozen,
            lambda split, images: phase.head.scores(cache.features(split, images)),
        )
    }
    progress = Progress()
    if tuned is not None:
        model, progress = tuned
        phases["fine_tuned"] = (
            model,
            lambda _, images: predict_scores(
                model, images, batch_size=PREDICT_BATCH, console=console
            ),
        )
    scores, measured = {}, {}
    for name, (_, predict) in phases.items():
        for split in ("validation", "test"):
            examples = getattr(splits, split)
            found = predict(split, examples.images)
            scores[split, name] = found
            measured[split, name] = classification_metrics(found, examples.labels)
    kept = max(phases, key=lambda name: _merit(measured["validation", name]))
    metrics: dict[str, Any] = {
        "test": measured["test", kept],
        "validation": measured["validation", kept],
        **{f"{split}_{name}": found for (split, name), found in measured.items()},
        "kept": kept,
        "learning_curve": learning_curve,
        "timing": {
            **timing,
            **_training_times(config, splits, phase, progress),
            "evaluate_seconds": time.perf_counter() - began,
        },
    }
    if config.test_time_augmentation != "none":
        began = time.perf_counter()
        augmented = predict_scores(
            phases[kept][0],
            splits.test.images,
            views=config.test_time_augmentation,
            batch_size=PREDICT_BATCH,
            console=console,
        )
        metrics["test_tta"] = classification_metrics(augmented, splits.test.labels)
        metrics["timing"]["tta_seconds"] = time.perf_counter() - began
    return Outcome(phases[kept][0], scores["test", kept], metrics, progress)


def summarise(folder: Path, outcome: Outcome, exported: Path | None) -> str:
    """Returns the last words of a run: figures, files and what to do next."""
    metrics = outcome.metrics
    timing = metrics["timing"]
    kept = metrics["kept"].replace("_", "-")
    lines = [
        f"{summaries.describe_accuracy(metrics['test'])}; kept: {kept}",
        (
            f"  frozen backbone {metrics['test_frozen']['accuracy']:.2%} after "
            f"{timing['frozen_seconds']:.1f} s"
        ),
    ]
    if "test_fine_tuned" in metrics:
        lines.append(
            f"  fine-tuned {metrics['test_fine_tuned']['accuracy']:.2%} after "
            f"{timing['fine_tune_seconds']:.1f} s more"
        )
    lines += summaries.describe_augmented(metrics)
    return "\n".join([*lines, *summaries.describe_outputs(folder, exported)])


def _merit(measured: dict[str, Any]) -> tuple[float, float]:
    """What is compared: the accuracy, then the log loss."""
    return measured["accuracy"], -measured["log_loss"]


def _training_times(
    config: Config, splits: ImageSplits, phase: FrozenPhase, progress: Progress
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
        count = len(splits.train)
        seen = plan_epochs(config, count)[1] * min(config.batch_size, count)
        # The seconds above are of both phases.
        timing = {**training_timing(progress, seen), **timing}
    return timing
