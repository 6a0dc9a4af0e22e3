"""What runs of the image classifiers share: paths, data, resuming, exporting."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    import keras

    from modelyard.data.augmentation import Augmentation
    from modelyard.data.loading import ImageSplits

_EXPORT_FILE = "export.json"  # In the run folder: where the export went.
_DOCUMENTS = ("config.json", "environment.json", "metrics.json", "MODEL_CARD.md")


def with_absolute_paths(config: Any) -> Any:
    """Returns the config as it is written down: it works from any folder."""
    kind, colon, rest = config.dataset.partition(":")
    path, *options = rest.split("?", 1)
    if colon:
        absolute = Path(path).expanduser().resolve()
        rest = "?".join([str(absolute), *options])
    return dataclasses.replace(
        config,
        dataset=f"{kind}{colon}{rest}",
        runs_dir=str(Path(config.runs_dir).expanduser().resolve()),
        saved_models_dir=str(Path(config.saved_models_dir).expanduser().resolve()),
    )


def load_splits(config: Any) -> ImageSplits:
    """Returns the examples that the config names."""
    from modelyard.data.loading import load_images

    return load_images(
        config.dataset,
        validation_share=config.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
    )


def augmentation_of(config: Any) -> Augmentation:
    """Returns the random transformations of the training images."""
    from modelyard.data.augmentation import Augmentation

    names = [field.name for field in dataclasses.fields(Augmentation)]
    return Augmentation(**{n: getattr(config, n) for n in names if hasattr(config, n)})


def check_settings(config: Any, rules: Iterable[tuple[str, Any, str]]) -> None:
    """Refuses settings that no training can use.

    Args:
        config: Settings of a pipeline of images.
        rules: What its own settings must be, besides those that all have: name,
            whether it holds, and the rule in words.

    Raises:
        ValueError: At the first rule that does not hold.
    """
    shared = (
        ("seed", config.seed >= 0, "at least 0"),
        ("learning_rate", config.learning_rate > 0, "above 0"),
        ("warmup_share", 0 <= config.warmup_share < 1, "in [0, 1)"),
        ("weight_decay", config.weight_decay >= 0, "at least 0"),
        ("momentum", 0 <= config.momentum < 1, "in [0, 1)"),
        ("clip_norm", config.clip_norm >= 0, "at least 0"),
        ("label_smoothing", 0 <= config.label_smoothing < 1, "in [0, 1)"),
        ("ema", 0 <= config.ema < 1, "in [0, 1)"),
        ("validation_share", 0 < config.validation_share < 1, "in (0, 1)"),
        (
            "export_name",
            config.export_name is None
            or re.fullmatch(r"\w[\w.-]*", config.export_name),
            "a plain name of letters, digits, dots and dashes",
        ),
    )
    for name, holds, rule in (*shared, *rules):
        if not holds:
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={getattr(config, name)!r}"
            )


def require_room(config: Any, model: keras.Model, *, more: int = 0) -> None:
    """Makes sure that the run and its export can be written.

    Args:
        config: Settings, with the two roots.
        model: What is going to be trained.
        more: Bytes that the run keeps besides.

    Raises:
        StorageError: If a root cannot be written or has no room.
    """
    from modelyard.training.files import require_space

    # Checkpoints with two averages a weight, the model, its export, a report.
    needed = 20_000_000 + 64 * model.count_params() + more
    roots = [config.runs_dir, *([config.saved_models_dir] if config.export else [])]
    for root in roots:
        require_space(Path(root), needed)


def export_name(config: Any, model: str) -> str:
    """Returns the name of the export, below the root of the SavedModels."""
    from modelyard.training.run_folder import slug

    return config.export_name or f"{slug(config.dataset)}-{model}"


def evaluate_run(
    folder: Path, splits: ImageSplits, *, batch_size: int = 500
) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more.

    Args:
        folder: The run's folder.
        splits: The examples.
        batch_size: Images at a time.
    """
    import keras

    from modelyard.training import metrics
    from modelyard.training.evaluation import predict_scores

    model = keras.models.load_model(folder / "model.keras")
    scores = predict_scores(model, splits.test.images, batch_size=batch_size)
    return metrics.classification_metrics(scores, splits.test.labels)


def export_run(folder: Path, config: Any, name: str, *, explain: bool = False) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Args:
        folder: The run's folder.
        config: Its settings.
        name: Name of the export, below the root of the SavedModels.
        explain: Whether it gets the signature `explain`.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    import keras
    import numpy as np

    from modelyard.training import run_folder as runs
    from modelyard.training.export import export_image_classifier
    from modelyard.training.files import write_json

    runs.require_finished(folder)
    if keras.backend.backend() != "tensorflow":
        return _export_with_tensorflow(folder)
    with np.load(folder / "examples.npz") as examples:
        images, class_names = examples["images"], examples["class_names"].tolist()
    path = export_image_classifier(
        keras.models.load_model(folder / "model.keras"),
        Path(config.saved_models_dir) / name,
        class_names=class_names,
        golden_images=images,
        extra_files=[folder / document for document in _DOCUMENTS],
        explain=explain,
    )
    write_json(folder / _EXPORT_FILE, {"path": str(path)})
    return path


def published(folder: Path) -> Path | None:
    """Returns the export of this run, if any: a resumed run needs no second."""
    from modelyard.training.run_folder import read_run_json

    if not (folder / _EXPORT_FILE).exists():
        return None
    path = Path(read_run_json(folder, _EXPORT_FILE)["path"])
    return path if path.exists() else None


@contextlib.contextmanager
def way_to_resume(pipeline: str, folder: Path, console: Console) -> Iterator[None]:
    """Says how to go on when a run is interrupted or cannot be written."""
    from modelyard.training.export import GateError
    from modelyard.training.files import StorageError
    from modelyard.training.run_folder import resume_command

    try:
        yield
    except (KeyboardInterrupt, StorageError, GateError):
        command = resume_command(pipeline, folder)
        console.print(f"Stopped. Go on with: {command}", highlight=False)
        raise


def _export_with_tensorflow(folder: Path) -> Path:
    """Exports in another process: XLA calls of other backends cannot be served."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "modelyard.pipelines.cli", "export", str(folder)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    path = published(folder)
    if done.returncode or path is None:
        raise RuntimeError(f"The export failed. {done.stderr.strip()}")
    return path
