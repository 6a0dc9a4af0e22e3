"""Transfer learning: a pretrained backbone becomes a classifier of your own pictures.

    modelyard run transfer-images --dataset cifar10 --max-train-examples 1000
    modelyard run transfer-images --dataset folder:PATH

First the backbone stays frozen: its features are computed once, and a linear head is
fitted to them in seconds. Then the backbone, or its upper blocks, are fine-tuned.
Whichever is better on validation is kept. TensorFlow and Keras are imported within the
functions that need them: `--help` must answer at once.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from modelyard.data.names import require_known
from modelyard.pipelines import image_runs, run_steps
from modelyard.pipelines.transfer_recipes import RECIPES

__all__ = ["MODELS", "NAME", "RECIPES", "Config", "evaluate", "export", "run"]

NAME = "transfer-images"
MODELS = (
    "efficientnet_lite0",
    "mobilenet_v2",
    "efficientnet_v2_b0",
    "resnet50_v2",
    "convnext_tiny",
)
MODEL_FIELD = "backbone"
_SMALLEST_IMAGE = 32  # The backbones halve the sides five times.


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run. Defaults are overridden by the recipe."""

    dataset: str = "photos"
    """`cifar10`, `photos`, ... (see `modelyard list`) or `folder:PATH`."""
    backbone: str = "efficientnet_lite0"
    """efficientnet_lite0 (weights come with a package), mobilenet_v2,
    efficientnet_v2_b0, resnet50_v2 or convnext_tiny (downloaded by Keras)."""
    recipe: str = "fast"
    """smoke (seconds), fast (best accuracy per second) or best (best accuracy)."""
    seed: int = 0
    """Seed of the validation cut, the data order and dropout."""

    weights: str = "imagenet"
    """`imagenet`, `none` (random ones, to try things) or a file of weights."""
    image_size: int = 224
    """Side that pictures are resized to for the backbone, at least 32; most of the
    cost grows with its square."""
    unfreeze_blocks: int | Literal["all"] = "all"
    """Upper blocks of the backbone to fine-tune, or all of it."""
    epochs: int = 5
    """Passes over the training examples in fine-tuning; 0 leaves it out."""
    min_updates: int = 150
    """Few examples are passed over more often, until there are so many updates."""
    batch_size: int = 64
    """Examples per update."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """Update rule."""
    learning_rate: float = 0.0006
    """Peak learning rate of the head and the topmost block."""
    rate_decay: float = 0.9
    """Factor of the learning rate from one block to the block below it."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "cosine"
    """Course of the learning rate after its warm-up."""
    warmup_share: float = 0.1
    """Share of all updates that warm up."""
    weight_decay: float = 0.02
    """Decoupled weight decay of sgd and adamw."""
    momentum: float = 0.9
    """Momentum of sgd."""
    clip_norm: float = 1.0
    """Largest norm of all gradients together; 0 is no clipping."""
    label_smoothing: float = 0.1
    """Share of each label that is spread over all classes."""
    dropout: float = 0.2
    """Dropout rate of the features in fine-tuning."""
    ema: float = 0.0
    """Momentum of an average of the weights that replaces them, lower in trainings of
    few updates; 0 is none."""

    shift: int = 0
    """Augmentation: largest shift in pixels of the data set."""
    flip: bool = False
    """Augmentation: mirror half of the pictures; the head learns from both."""
    cutout: int = 0
    """Augmentation: side of a square that is blanked."""
    rotate: float = 0.0
    """Augmentation: largest rotation in degrees."""
    scale: float = 0.0
    """Augmentation: largest change of size, as a share."""
    shear: float = 0.0
    """Augmentation: largest shear in degrees."""
    padding: Literal["zero", "reflect"] = "reflect"
    """What comes in at the border of moved pictures."""
    test_time_augmentation: Literal["none", "flip", "shift", "flip_shift"] = "none"
    """Views averaged for the extra test metrics `test_tta`."""

    learning_curve: tuple[int, ...] | Literal["auto"] = ()
    """Numbers of labels for a comparison with training from scratch; auto takes the
    powers of ten."""
    validation_share: float = 1 / 12
    """Share of the training examples kept for validation."""
    max_train_examples: int | None = None
    """Train on a balanced part of that many examples only."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Precision of the fine-tuning; depthwise convolutions on a CPU gain nothing
    from bfloat16."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Compile training steps with XLA; auto does so on a GPU."""
    export: bool = True
    """Publish a SavedModel at the end."""
    export_name: str | None = None
    """Name below the folder of SavedModels; <dataset>-<backbone> if not given."""
    runs_dir: str = "runs"
    """Root of the run folders."""
    saved_models_dir: str = "saved_models"
    """Root of the SavedModels."""

    def __post_init__(self):
        """Refuses values that no training can use."""
        rules = (
            (
                "image_size",
                self.image_size >= _SMALLEST_IMAGE,
                f"at least {_SMALLEST_IMAGE}",
            ),
            (
                "unfreeze_blocks",
                isinstance(self.unfreeze_blocks, str) or self.unfreeze_blocks >= 0,
                'at least 0, or "all"',
            ),
            ("epochs", self.epochs >= 0, "at least 0"),
            ("min_updates", self.min_updates >= 0, "at least 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("rate_decay", 0 < self.rate_decay <= 1, "in (0, 1]"),
            ("dropout", 0 <= self.dropout < 1, "in [0, 1)"),
            (
                "learning_curve",
                self.learning_curve == "auto"
                or all(
                    isinstance(count, int) and count >= 1
                    for count in self.learning_curve
                ),
                'numbers of at least 1, or "auto"',
            ),
        )
        require_known("backbone", self.backbone, MODELS)
        run_steps.check_settings(self, rules)


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, exports and reports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run the ones it was started with.
        resume: Folder of an interrupted run to go on with.
        console: Where progress is shown; the standard output if not given.

    Raises:
        ValueError: If a setting does not fit the backbone or the data.
        RuntimeError: If the pretrained weights cannot be had.
        StorageError: If a folder cannot be written or has no room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    from modelyard.pipelines import classification_results as results
    from modelyard.pipelines import summaries, transfer_results
    from modelyard.pipelines import transfer_training as setup
    from modelyard.pipelines.frozen_phase import FeatureCache, fit_frozen, set_head
    from modelyard.pipelines.learning_curve import (
        check_label_counts,
        measure_learning_curve,
    )
    from modelyard.pipelines.transfer_report import make_report
    from modelyard.training import run_folder as runs
    from modelyard.training.files import write_json

    console = console or Console()
    began = time.perf_counter()
    config = run_steps.with_absolute_paths(config)
    setup.check_plan(config)
    splits = setup.load_splits(config)
    image_runs.augmentation_of(config).check_fits(splits.image_shape)
    check_label_counts(config, splits)
    timing = {"load_seconds": time.perf_counter() - began}
    console.print(summaries.describe_splits(splits), highlight=False)
    began = time.perf_counter()
    frozen = setup.build_frozen(config, splits)
    timing["build_seconds"] = time.perf_counter() - began
    features = setup.feature_bytes(config, splits, frozen)
    run_steps.require_room(config, frozen, more=features)
    folder = resume or runs.new_run_folder(
        Path(config.runs_dir), NAME, config.dataset, config.backbone
    )
    runs.write_config(folder, NAME, config)
    write_json(folder / "environment.json", runs.describe_environment(frozen))
    console.print(f"Run: {folder}", highlight=False)
    with run_steps.way_to_resume(NAME, folder, console):
        cache = FeatureCache(frozen, folder / "features", console)
        first = fit_frozen(splits, cache, folder, flip=config.flip)
        set_head(frozen, first.head)
        console.print(transfer_results.describe_head(first), highlight=False)
        tuned = setup.fine_tune(config, splits, frozen, folder, console)
        curve = measure_learning_curve(config, splits, cache, folder, console)
        outcome = transfer_results.measure(
            config, splits, cache, first, frozen, tuned, curve, timing, console
        )
        results.save_classifier(folder, outcome.model, splits)
        write_json(folder / "metrics.json", outcome.metrics)
        report = make_report(folder, splits, outcome)
        results.write_model_card(
            folder, report, _export_name(config), splits.image_shape, explain=True
        )
        results.finish_report(folder, report, None)  # Kept if the export is refused.
        exported = None
        if config.export:
            exported = run_steps.published(folder) or export(folder)
        results.finish_report(folder, report, exported)
    shutil.rmtree(folder / "features", ignore_errors=True)  # Large, and used up.
    console.print(
        transfer_results.summarise(folder, outcome, exported), highlight=False
    )
    return folder


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    from modelyard.pipelines.frozen_phase import PREDICT_BATCH
    from modelyard.pipelines.transfer_training import load_splits
    from modelyard.training.run_folder import read_config, require_finished

    config = read_config(folder, Config)
    require_finished(folder)
    splits = load_splits(config)
    return image_runs.evaluate_run(folder, splits, batch_size=PREDICT_BATCH)


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    from modelyard.training.run_folder import read_config

    config = read_config(folder, Config)
    return image_runs.export_run(folder, config, _export_name(config), explain=True)


def _export_name(config: Config) -> str:
    """Name of the export, below the root of the SavedModels."""
    return run_steps.export_name(config, config.backbone)


if __name__ == "__main__":
    from modelyard.pipelines.cli import main

    sys.exit(main(["run", NAME, *sys.argv[1:]]))
