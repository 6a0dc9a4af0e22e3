"""Fitting a compiled model with checkpoints, resume and early stopping."""

import contextlib
import math
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from rich.console import Console

from modelyard.data.input_clock import InputClock
from modelyard.training.checkpoint import (
    Progress,
    build_optimizers,
    find_optimizers,
    load_checkpoint,
    load_latest,
    save_checkpoint,
    save_epoch,
)
from modelyard.training.files import write_text
from modelyard.training.progress import ProgressDisplay

_BEST = "best.npz"
_REMEDY = (
    "Nothing was exported. Try a lower `--learning-rate`, `--clip-norm 1` or "
    "`--precision float32`."
)


class DivergenceError(RuntimeError):
    """A loss or a weight has become infinite or not a number."""


def fit_resumably(
    model: keras.Model,
    make_dataset: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    *,
    epochs: int,
    steps_per_epoch: int,
    folder: Path,
    patience: int = 0,
    console: Console,
) -> Progress:
    """Trains a model, starting from its last checkpoint if there is one.

    The final weights are bit for bit the same whether the training was interrupted or
    not. They are those of the last epoch or, with `patience`, of the best one; if an
    optimizer keeps an average of its weights (`use_ema`), they are that average.

    Args:
        model: A compiled, built model, initialised from the same seed each time. A
            custom `train_step` may use several optimizers, which the model keeps as
            attributes and builds itself; compile such a model with `optimizer=None`.
            Its metrics can have any names. Those whose names contain `loss` must stay
            finite, and `patience` needs the validation loss, `loss`.
        make_dataset: Function from the number of finished epochs to a dataset of the
            batches of all remaining epochs.
        validation: Dataset evaluated after each epoch.
        epochs: Total number of epochs.
        steps_per_epoch: Number of batches per epoch.
        folder: Run folder; gets the sub-folders `checkpoints/` and `tensorboard/`.
        patience: Number of epochs without a lower validation loss after which the
            training ends; 0 disables early stopping.
        console: Where progress is shown.

    Returns:
        The history and the timings of the whole training, including the part before
        an interruption.

    Raises:
        DivergenceError: If a loss or a weight is no longer finite.
        StorageError: If a checkpoint cannot be written.
        ValueError: If the model has no optimizer or one that is not built, if the
            checkpoint belongs to another model, or if `patience` is given and there is
            no validation loss.
    """
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    build_optimizers(model)
    averaging = [x for x in find_optimizers(model) if x.use_ema]
    progress = load_latest(checkpoints, model)
    if progress.epoch:
        console.print(f"Resuming after epoch {progress.epoch} of {epochs}.")
    if progress.epoch < epochs and not progress.stopped_early:
        clock = InputClock()
        display = ProgressDisplay(console, epochs=epochs, steps=steps_per_epoch)
        recorder = _Recorder(progress, clock, checkpoints, patience)
        callbacks = [
            *map(_SwapAverage, averaging),
            display,
            keras.callbacks.TensorBoard(
                folder / "tensorboard", write_graph=False, profile_batch=0
            ),
            recorder,
        ]
        try:
            with _remembered_interrupts(recorder.interrupts):
                model.fit(
                    clock.attach(make_dataset(progress.epoch)),
                    validation_data=validation,
                    initial_epoch=progress.epoch,
                    epochs=epochs,
                    steps_per_epoch=steps_per_epoch,
                    shuffle=False,  # The dataset shuffles.
                    verbose=0,
                    callbacks=callbacks,
                )
        finally:
            display.close()
    if progress.stopped_early:
        load_checkpoint(checkpoints / _BEST, model)
    for optimizer in averaging:
        # Its own variables: the model may have others.
        optimizer.finalize_variable_values(optimizer._trainable_variables)
    return progress


@contextlib.contextmanager
def _remembered_interrupts(received: list[int]) -> Iterator[None]:
    """Records each SIGINT and passes it on to the previous handler.

    Keras converts the logs of a step inside a bare `except`, which swallows a
    KeyboardInterrupt.
    """
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(before):
        yield
        return

    def record(number, frame):
        received.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, record)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _SwapAverage(keras.callbacks.SwapEMAWeights):
    """Validates with the average that one optimizer keeps of its weights."""

    def __init__(self, optimizer: keras.optimizers.Optimizer):
        super().__init__()
        self._optimizer = optimizer

    @property
    def model(self):
        """Stands in for the model, whose `optimizer` is another or None."""
        _ = super().model  # Updates the variables on the jax backend.
        return types.SimpleNamespace(optimizer=self._optimizer)


class _Recorder(keras.callbacks.Callback):
    """Records and saves the progress, and stops a training that should not go on."""

    def __init__(
        self, progress: Progress, clock: InputClock, folder: Path, patience: int
    ):
        super().__init__()
        self.interrupts: list[int] = []
        self._progress = progress
        self._clock = clock
        self._folder = folder
        self._patience = patience

    def on_train_begin(self, logs=None):
        """Starts the clocks."""
        self._began = time.perf_counter() - self._progress.train_seconds
        self._waited = self._progress.input_wait_seconds - self._clock.wait_seconds

    def on_train_batch_end(self, batch, logs=None):
        """Stops after an interrupt, and at the first loss that is not finite."""
        if self.interrupts:
            raise KeyboardInterrupt
        for name, value in logs.items():
            if "loss" in name and not math.isfinite(value):
                optimizer = find_optimizers(self.model)[0]
                raise DivergenceError(
                    f"The {name} became {value} at step {int(optimizer.iterations)}, "
                    f"with a learning rate of {float(optimizer.learning_rate):.3g}. "
                    f"{_REMEDY}"
                )

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint and decides whether to stop early."""
        for variable in self.model.variables:
            # The loss can hide a NaN: some kernels turn it into zero.
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                raise DivergenceError(
                    f"The weights {variable.path} became infinite or not a number in "
                    f"epoch {epoch + 1}. {_REMEDY}"
                )
        progress = self._progress
        progress.epoch = epoch + 1
        progress.train_seconds = time.perf_counter() - self._began
        progress.input_wait_seconds = self._waited + self._clock.wait_seconds
        row = {name: float(value) for name, value in logs.items()}
        progress.history.append(
            {
                "epoch": progress.epoch,
                **row,
                "learning_rate": float(find_optimizers(self.model)[0].learning_rate),
                "seconds": round(progress.train_seconds, 3),
            }
        )
        if self._patience:
            self._stop_early(row)
        save_epoch(self._folder, self.model, progress)
        table = pd.DataFrame(progress.history).to_csv(index=False)
        write_text(self._folder.parent / "history.csv", table)

    def _stop_early(self, row: dict[str, float]) -> None:
        """Keeps the best epoch and counts those after it."""
        if "val_loss" not in row:
            raise ValueError(
                "`patience` must be 0 for a model without the validation loss "
                f"`val_loss`. Received: metrics {', '.join(row)}"
            )
        progress = self._progress
        if progress.best_value is None or row["val_loss"] < progress.best_value:
            progress.best_value, progress.epochs_without_gain = row["val_loss"], 0
            save_checkpoint(self._folder / _BEST, self.model, progress)
            return
        progress.epochs_without_gain += 1
        if progress.epochs_without_gain >= self._patience:
            progress.stopped_early = self.model.stop_training = True
