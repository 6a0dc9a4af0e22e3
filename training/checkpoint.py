"""The complete state of a training run, saved after every epoch.

Each checkpoint is one npz file: every variable of the model (weights, batch
statistics, random seeds) and of its optimizers (step, momenta, averages), and the
progress as JSON. The order of the data depends on seed and epoch alone, so a resumed
run computes exactly the same numbers.
"""

import dataclasses
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from modelyard.training.files import write_atomically

_KEPT = 2  # The last one, and one more in case the last is damaged.
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass
class Progress:
    """Progress of a training run.

    Attributes:
        epoch: Number of finished epochs.
        history: One row of metrics per finished epoch.
        train_seconds: Wall time of training and validation so far.
        input_wait_seconds: Part of it spent waiting for input.
        best_value: Lowest validation loss so far; None until there is one, and
            without early stopping.
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


def find_optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Lists the optimizers of a model, each once and always in the same order.

    `model.optimizer` comes first, then the model's other attributes by name, including
    the contents of lists, tuples and dicts. The optimizers inside a wrapper, such as
    `LossScaleOptimizer`, come before it.
    """
    found: dict[int, keras.optimizers.Optimizer] = {}

    def collect(value):
        if isinstance(value, keras.optimizers.Optimizer):
            collect(getattr(value, "inner_optimizer", None))
            collect(getattr(value, "optimizers", None))
            found.setdefault(id(value), value)
        elif isinstance(value, Mapping):
            collect(list(value.values()))
        elif isinstance(value, list | tuple):
            for item in value:
                collect(item)

    collect(model.optimizer)
    for name, value in sorted(vars(model).items()):
        # These are TensorFlow's records of attributes, also of former ones.
        if not name.startswith("_self_"):
            collect(value)
    return list(found.values())


def build_optimizers(model: keras.Model) -> None:
    """Builds `model.optimizer`, and checks that all other optimizers are built.

    Raises:
        ValueError: If the model has no optimizer, or one that is not built.
    """
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    optimizers = find_optimizers(model)
    if not optimizers:
        raise ValueError(
            "`model` must be compiled with an optimizer or have optimizers as "
            f"attributes. Received: {model.name} without any"
        )
    for optimizer in optimizers:
        if not optimizer.built:
            # Which variables it updates is known to the model's author alone.
            raise ValueError(
                "`model` must build its optimizers with `optimizer.build(variables)` "
                "in its constructor or in `compile`, except for `model.optimizer`. "
                f"Received: {optimizer.name}, which is not built"
            )


def save_checkpoint(path: Path, model: keras.Model, progress: Progress) -> None:
    """Atomically writes the state of a compiled, built model and its optimizers.

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
    """Restores a saved state into a model that is compiled in the same way.

    Args:
        path: A file that `save_checkpoint` wrote.
        model: A compiled, built model. `model.optimizer` is built here if necessary;
            all other optimizers must be built already.

    Returns:
        The progress saved with it.

    Raises:
        ValueError: If the file holds the state of another model or other optimizers,
            or if an optimizer is not built.
    """
    build_optimizers(model)
    variables = _variables(model)
    # Opened here, because `np.load` does not close a damaged file.
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
    """Writes the checkpoint of a finished epoch and deletes the oldest ones."""
    save_checkpoint(folder / f"epoch-{progress.epoch:05d}.npz", model, progress)
    for old in _epoch_files(folder)[:-_KEPT]:
        old.unlink()


def load_latest(folder: Path, model: keras.Model) -> Progress:
    """Restores the newest intact checkpoint, if there is one.

    Returns:
        The progress saved with it; an empty one if there is no intact checkpoint.

    Raises:
        ValueError: As `load_checkpoint`.
    """
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
    """All variables that training changes, each once, in a fixed order."""
    variables = [*model.variables]
    for optimizer in find_optimizers(model):
        variables += optimizer.variables
    # A wrapper lists the variables of the optimizers inside it as well.
    return list({id(variable): variable for variable in variables}.values())
