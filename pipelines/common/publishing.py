"""Exporting the model of a finished run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from modelyard.training.files import storage_errors, write_json
from modelyard.training.run_folder import (
    read_config,
    read_run_json,
    require_finished,
    slug,
)

# Files of the run that are copied into an export.
DOCUMENTS = ("config.json", "environment.json", "metrics.json", "MODEL_CARD.md")
_EXPORT_FILE = "export.json"  # In the run folder: where the export went.


def publish_run(
    folder: Path,
    config_class: type,
    publish: Callable[[keras.Model, Path, list[Path], Any], Path],
) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Args:
        folder: The run's folder.
        config_class: Class of its config.
        publish: Exports a model. Gets the model, the base directory of the export, the
            documents to copy into it and the config; returns the directory of the
            version. On backends other than TensorFlow, a separate process exports.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
        StorageError: If the export cannot be written.
    """
    config: Any = read_config(folder, config_class)
    require_finished(folder)
    if keras.backend.backend() != "tensorflow":
        return _export_with_tensorflow(folder)
    base = Path(config.output.saved_models_dir) / export_name(config)
    documents = [folder / name for name in DOCUMENTS]
    model = keras.models.load_model(folder / "model.keras")
    with storage_errors(base):
        path = publish(model, base, documents, config)
    write_json(folder / _EXPORT_FILE, {"path": str(path)})
    return path


def published(folder: Path) -> Path | None:
    """Returns the export of this run, if any: a resumed run needs no second one."""
    if not (folder / _EXPORT_FILE).exists():
        return None
    path = Path(read_run_json(folder, _EXPORT_FILE)["path"])
    return path if path.exists() else None


def export_name(config: Any) -> str:
    """Returns the name of a run's export, below the folder of SavedModels."""
    return config.output.export_name or f"{slug(config.dataset)}-{config.model}"


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
