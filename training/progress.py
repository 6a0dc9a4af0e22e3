"""Progress of a training run: a live bar in a terminal, plain lines elsewhere."""

import time

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

_PLAIN_SECONDS = 30.0  # Between two lines within an epoch.
_LIVE_SECONDS = 0.1


class ProgressDisplay(keras.callbacks.Callback):
    """Shows the epoch, the step and all metrics of a training run.

    Args:
        console: Where to write.
        epochs: Total number of epochs.
        steps: Number of steps per epoch.
    """

    def __init__(self, console: Console, *, epochs: int, steps: int):
        super().__init__()
        self._console = console
        self._epochs = epochs
        self._steps = steps
        self._bar: Progress | None = None

    def on_train_begin(self, logs=None):
        """Opens the bar in a terminal."""
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold]epoch {task.fields[epoch]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.description}"),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self._steps, epoch="")

    def on_epoch_begin(self, epoch, logs=None):
        """Starts an epoch."""
        self._epoch = f"{epoch + 1}/{self._epochs}"
        self._began = self._shown = time.perf_counter()
        if self._bar:
            self._bar.reset(self._task, epoch=self._epoch, description="")

    def on_train_batch_end(self, batch, logs=None):
        """Shows the step and the running metrics at intervals."""
        now = time.perf_counter()
        if now - self._shown < (_LIVE_SECONDS if self._bar else _PLAIN_SECONDS):
            return
        self._shown = now
        if self._bar:
            self._bar.update(
                self._task, completed=batch + 1, description=_describe(logs)
            )
        else:
            self._console.print(
                f"epoch {self._epoch}  step {batch + 1}/{self._steps}  "
                f"{_describe(logs)}",
                highlight=False,
            )

    def on_epoch_end(self, epoch, logs=None):
        """Prints a line for the epoch."""
        seconds = time.perf_counter() - self._began
        self._console.print(
            f"epoch {self._epoch}  {seconds:6.1f} s  {_describe(logs)}",
            highlight=False,
        )

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self.close()

    def close(self) -> None:
        """Removes the bar, also after an error."""
        if self._bar:
            self._bar.stop()
            self._bar = None


def _describe(logs: dict[str, float] | None) -> str:
    """Metrics as `name value` pairs."""
    return "  ".join(f"{name} {_format(x)}" for name, x in (logs or {}).items())


def _format(value: float) -> str:
    """Four decimals, or three significant digits of very small and large values."""
    # Losses of a regression can have any scale.
    fits = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if fits else f"{value:.3g}"
