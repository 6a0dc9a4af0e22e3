"""Image classification: from a data set to a checked SavedModel.

    modelyard run classify-images --dataset mnist --recipe fast
    python pipelines/classify_images.py --dataset mnist --recipe fast

TensorFlow and Keras are imported within the functions that need them: `--help`
must answer at once.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from modelyard.data.names import require_known
from modelyard.pipelines import image_runs, run_steps
from modelyard.pipelines.image_recipes import RECIPES

__all__ = ["MODELS", "NAME", "RECIPES", "Config", "evaluate", "export", "run"]

NAME = "classify-images"
MODELS = (
    "perceptron",
    "mlp",
    "lenet",
    "convnet",
    "residual_cnn",
    "wide_resnet",
    "fast_cifar_net",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run. Defaults are overridden by the recipe."""

    dataset: str = "digits"
    """`mnist`, `cifar10`, ... (see `modelyard list`) or `folder:PATH`."""
    model: str = "convnet"
    """One of the models of `modelyard list`."""
    recipe: str = "fast"
    """smoke (seconds), fast (best accuracy per second) or best (best accuracy)."""
    seed: int = 0
    """Seed of the weights, the validation cut, the data order and dropout."""

    epochs: int = 10
    """Passes over the training examples."""
    batch_size: int | Literal["full"] = 256
    """Examples per update: 1 is stochastic, `full` takes all of them at once."""
    optimizer: Literal["sgd", "adam", "adamw", "muon", "filter_muon"] = "adamw"
    """Update rule."""
    learning_rate: float = 0.006
    """Peak learning rate."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    """Course of the learning rate after its warm-up."""
    warmup_share: float = 0.25
    """Share of all updates that warm up."""
    weight_decay: float = 0.05
    """Decoupled weight decay of all but adam."""
    momentum: float = 0.9
    """Momentum of sgd, muon and filter_muon."""
    nesterov: bool = True
    """Whether that momentum is Nesterov's."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 is no clipping."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes."""
    ema: float = 0.0
    """Momentum of an average of the weights that replaces them, lower in trainings of
    few updates; 0 is none."""
    early_stopping: int = 0
    """Epochs without a lower validation loss that end the training; 0 is never."""

    activation: str | None = None
    """Activation of the hidden layers; the model's own if not given."""
    initializer: str | None = None
    """Keras initializer of the weights; the model's own if not given."""
    dropout: float | None = None
    """Dropout rate; the model's own if not given."""
    l2: float | None = None
    """L2 penalty on the weights; the model's own if not given."""
    widths: tuple[int, ...] | None = None
    """Filters of the convolutions; the model's own if not given."""
    stem: Literal["strided", "pooled"] | None = None
    """First layers of the convnet: strided is quick, pooled more accurate."""

    shift: int = 0
    """Augmentation: largest shift in pixels."""
    flip: bool = False
    """Augmentation: mirror half of the pictures."""
    alternate_flip: bool = False
    """Augmentation: mirror each picture in every other epoch; needs flip."""
    small_share: float = 0.0
    """Share of the epochs, from the first, that see pictures of 3/4 of their sides;
    for fast_cifar_net."""
    cutout: int = 0
    """Augmentation: side of a square that is blanked."""
    rotate: float = 0.0
    """Augmentation: largest rotation in degrees."""
    scale: float = 0.0
    """Augmentation: largest change of size, as a share."""
    shear: float = 0.0
    """Augmentation: largest shear in degrees."""
    padding: Literal["zero", "reflect"] = "zero"
    """What comes in at the border of moved pictures."""
    test_time_augmentation: Literal["none", "flip", "shift", "flip_shift", "six"] = (
        "none"
    )
    """Views averaged for the extra test metrics `test_tta`."""

    validation_share: float = 1 / 12
    """Share of the training examples kept for validation."""
    max_train_examples: int | None = None
    """Train on a balanced part of that many examples only."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the training; exports are float32."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Compile training steps with XLA; auto does so on a GPU."""
    export: bool = True
    """Publish a SavedModel at the end."""
    export_name: str | None = None
    """Name below the folder of SavedModels; <dataset>-<model> if not given."""
    runs_dir: str = "runs"
    """Root of the run folders."""
    saved_models_dir: str = "saved_models"
    """Root of the SavedModels."""

    def __post_init__(self):
        """Refuses values that no training can use."""
        rules = (
            ("epochs", self.epochs >= 1, "at least 1"),
            (
                "batch_size",
                self.batch_size == "full" or self.batch_size >= 1,
                'at least 1, or "full"',
            ),
            (
                "small_share",
                0 <= self.small_share < 1
                and (self.small_share == 0 or self.model == "fast_cifar_net"),
                "in [0, 1), and 0 unless the model is fast_cifar_net",
            ),
            ("early_stopping", self.early_stopping >= 0, "at least 0"),
        )
        require_known("model", self.model, MODELS)
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
        ValueError: If a setting does not fit the model or the data.
        StorageError: If a folder cannot be written or has no room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    from modelyard.pipelines import classification_results as results
    from modelyard.pipelines import image_training as setup
    from modelyard.pipelines import summaries
    from modelyard.training import run_folder as runs
    from modelyard.training.files import write_json
    from modelyard.training.fit import fit_resumably

    console = console or Console()
    began = time.perf_counter()
    config = run_steps.with_absolute_paths(config)
    options = setup.model_options(config)
    splits = image_runs.load_splits(config)
    image_runs.augmentation_of(config).check_fits(splits.image_shape)
    timing = {"load_seconds": time.perf_counter() - began}
    console.print(summaries.describe_splits(splits), highlight=False)
    began = time.perf_counter()
    model, steps = setup.compile_model(config, splits, options)
    timing["build_seconds"] = time.perf_counter() - began
    run_steps.require_room(config, model)
    folder = resume or runs.new_run_folder(
        Path(config.runs_dir), NAME, config.dataset, config.model
    )
    runs.write_config(folder, NAME, config)
    write_json(folder / "environment.json", runs.describe_environment(model))
    console.print(f"Run: {folder}", highlight=False)
    with run_steps.way_to_resume(NAME, folder, console):
        progress = fit_resumably(
            model,
            lambda finished: setup.training_dataset(config, splits, finished),
            setup.validation_dataset(splits),
            epochs=config.epochs,
            steps_per_epoch=steps,
            folder=folder,
            patience=config.early_stopping,
            console=console,
        )
        classifier = setup.as_float32(model, config, splits, options)
        results.save_classifier(folder, classifier, splits)
        scores, metrics = results.measure(
            classifier,
            splits,
            progress,
            batch_size=setup.batch_size(config, splits),
            views=config.test_time_augmentation,
            timing=timing,
            console=console,
        )
        write_json(folder / "metrics.json", metrics)
        report = results.make_report(
            folder, splits, scores, metrics, progress, images=splits.test.images
        )
        results.write_model_card(
            folder, report, _export_name(config), splits.image_shape
        )
        results.finish_report(folder, report, None)  # Kept if the export is refused.
        exported = None
        if config.export:
            exported = run_steps.published(folder) or export(folder)
        results.finish_report(folder, report, exported)
    console.print(summaries.summarise(folder, metrics, exported), highlight=False)
    return folder


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    from modelyard.training.run_folder import read_config, require_finished

    config = read_config(folder, Config)
    require_finished(folder)
    return image_runs.evaluate_run(folder, image_runs.load_splits(config))


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    from modelyard.training.run_folder import read_config

    config = read_config(folder, Config)
    return image_runs.export_run(folder, config, _export_name(config))


def _export_name(config: Config) -> str:
    """Name of the export, below the root of the SavedModels."""
    return run_steps.export_name(config, config.model)


if __name__ == "__main__":
    from modelyard.pipelines.cli import main

    sys.exit(main(["run", NAME, *sys.argv[1:]]))
