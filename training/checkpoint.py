"""The whole state of a training, on disk at the end of every epoch.

Each checkpoint is one npz file: every variable of the model (weights, batch
statistics, random seeds) and of the optimizer (step, momenta, average), and the
progress of the training as JSON. Data order is a function of seed and epoch, so
nothing else is needed to go on with the very same numbers.
"""

import dataclasses
import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from modelyard.training.files import write_atomically

_KEPT = 2  # The last one, and one more in case a disk returns garbage.
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass
class Progress:
    """What a training has behind it.

    Attributes:
        epoch: Finished epochs.
        history: One row of metrics for each of them.
        train_seconds: Wall time of training and validation so far.
        input_wait_seconds: Part of it spent waiting for input.
        best_value: Best validation loss so far; None before the first.
        epochs_without_gain: Epochs since then.
        stopped_early: Whether early stopping has ended the training.
    """

    epoch: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    train_seconds: float = 0.0
    input_wait_seconds: float = 0.0
    best_value: float | None = None
    epochs_without_gain: int = 0
    stopped_early: bool = False


def save_checkpoint(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes the state of a compiled, built model atomically.

    Raises:
        StorageError: If the disk is full; earlier checkpoints stay usable.
    """
    arrays = {
        f"{i:05d}": keras.ops.convert_to_numpy(variable)
        for i, variable in enumerate(_variables(model))
    }
    text = json.dumps(dataclasses.asdict(progress))
    arrays["progress"] = np.frombuffer(text.encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path: Path, model: keras.Model) -> Progress:
    """Puts a saved state back into a model compiled as it was then.

    Returns:
        The progress saved with it.

    Raises:
        ValueError: If the file holds the state of another model or optimizer.
    """
    model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    # Opened here, since `np.load` leaves a damaged file open.
    with path.open("rb") as file, np.load(file) as arrays:
        values = [arrays[key] for key in sorted(arrays.files) if key != "progress"]
        progress = Progress(**json.loads(arrays["progress"].tobytes()))
    if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
        raise ValueError(
            "The checkpoint must come from the same model and optimizer. "
            f"Received: {path} with {len(values)} variables for {len(variables)}"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return progress


def save_epoch(folder: Path, model: keras.Model, progress: Progress) -> None:
    """Writes the checkpoint of a finished epoch and drops the oldest ones."""
    save_checkpoint(folder / f"epoch-{progress.epoch:05d}.npz", model, progress)
    for old in _epoch_files(folder)[:-_KEPT]:
        old.unlink()


def load_latest(folder: Path, model: keras.Model) -> Progress:
    """Restores the newest whole checkpoint, or nothing where there is none."""
    for path in reversed(_epoch_files(folder)):
        try:
            return load_checkpoint(path, model)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            _LOGGER.warning("Skipped the damaged checkpoint %s: %s", path, error)
    return Progress()


def _epoch_files(folder: Path) -> list[Path]:
    """Checkpoints of epochs, oldest first."""
    return sorted(folder.glob("epoch-*.npz"))


def _variables(model: keras.Model) -> list[Any]:
    """All variables that training changes, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]
