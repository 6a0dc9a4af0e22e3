"""Fitting a compiled model with checkpoints, resume and early stopping."""

import contextlib
import math
import signal
import threading
import time
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
    """The loss has become infinite or not a number."""


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
    """Trains a model, from its last checkpoint on if there is one.

    Ends with the very same weights whether it was interrupted or not. The weights
    left in the model are those of the last epoch, or of the best one where
    `patience` is given, averaged if the optimizer keeps an average.

    Args:
        model: A compiled model, built from the same seed each time.
        make_dataset: Function from the number of finished epochs to a
            `tf.data.Dataset` of the batches of all epochs that are left.
        validation: Dataset evaluated after each epoch.
        epochs: Epochs in all.
        steps_per_epoch: Batches of an epoch.
        folder: Run folder; `checkpoints/` and `tensorboard/` are kept in it.
        patience: Epochs without a lower validation loss that end the training;
            0 is never.
        console: Where progress is shown.

    Returns:
        The history and the timings of the whole training.

    Raises:
        DivergenceError: If the loss is no longer finite.
        StorageError: If a checkpoint cannot be written.
    """
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    progress = load_latest(checkpoints, model)
    if progress.epoch:
        console.print(f"Going on after epoch {progress.epoch} of {epochs}.")
    if progress.epoch < epochs and not progress.stopped_early:
        clock = InputClock()
        display = ProgressDisplay(console, epochs=epochs, steps=steps_per_epoch)
        recorder = _Recorder(progress, clock, checkpoints, patience)
        callbacks = [
            *([keras.callbacks.SwapEMAWeights()] if model.optimizer.use_ema else []),
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
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return progress


@contextlib.contextmanager
def _remembered_interrupts(received: list[int]) -> Iterator[None]:
    """Notes each SIGINT, which also does what it did before.

    Keras converts the logs of a step in a bare `except`, where a KeyboardInterrupt
    gets lost.
    """
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(before):
        yield
        return

    def note(number, frame):
        received.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Recorder(keras.callbacks.Callback):
    """Keeps the progress, writes it, and stops what no longer makes sense."""

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
        """Stops when asked to, and at the first loss that is not finite."""
        if self.interrupts:
            raise KeyboardInterrupt
        if not math.isfinite(logs["loss"]):
            step = int(self.model.optimizer.iterations)
            rate = float(self.model.optimizer.learning_rate)
            raise DivergenceError(
                f"The loss became {logs['loss']} at step {step}, with a learning "
                f"rate of {rate:.3g}. {_REMEDY}"
            )

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint and judges whether to go on."""
        for variable in self.model.variables:
            # Some kernels turn NaN into zero on the way to the loss.
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
                "learning_rate": float(self.model.optimizer.learning_rate),
                "seconds": round(progress.train_seconds, 3),
            }
        )
        if self._patience:
            self._judge(row["val_loss"])
        save_epoch(self._folder, self.model, progress)
        table = pd.DataFrame(progress.history).to_csv(index=False)
        write_text(self._folder.parent / "history.csv", table)

    def _judge(self, value: float) -> None:
        """Counts epochs without gain, and keeps the best one."""
        progress = self._progress
        if progress.best_value is None or value < progress.best_value:
            progress.best_value, progress.epochs_without_gain = value, 0
            save_checkpoint(self._folder / _BEST, self.model, progress)
            return
        progress.epochs_without_gain += 1
        if progress.epochs_without_gain >= self._patience:
            progress.stopped_early = self.model.stop_training = True
