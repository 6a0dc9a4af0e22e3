"""Progress of a prediction: a live line in a terminal, plain lines elsewhere."""

import time

import keras
from rich.console import Console
from rich.status import Status

_PLAIN_SECONDS = 30.0  # Between two lines.
_LIVE_SECONDS = 0.1


class PredictionProgress(keras.callbacks.Callback):
    """Shows the progress and the speed of a prediction.

    Args:
        console: Where to write.
        title: What is computed, for example `features of train`.
        count: Total number of examples.
        batch_size: Examples per batch.
        leaves_line: Whether to print a final line.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        *,
        count: int,
        batch_size: int,
        leaves_line: bool = True,
    ):
        super().__init__()
        self._console = console
        self._title = title
        self._count = count
        self._batch_size = batch_size
        self._leaves_line = leaves_line
        self._status: Status | None = None

    def on_predict_begin(self, logs=None):
        """Starts the clock and, in a terminal, the live line."""
        self._began = self._shown = time.perf_counter()
        if self._console.is_terminal:
            self._status = self._console.status(self._title)
            self._status.start()

    def on_predict_batch_end(self, batch, logs=None):
        """Shows the count at intervals."""
        now = time.perf_counter()
        if now - self._shown < (_LIVE_SECONDS if self._status else _PLAIN_SECONDS):
            return
        self._shown = now
        text = self._text(min((batch + 1) * self._batch_size, self._count), now)
        if self._status:
            self._status.update(text)
        else:
            self._console.print(text, highlight=False)

    def on_predict_end(self, logs=None):
        """Removes the live line and prints the final one."""
        self.close()
        if self._leaves_line:
            self._console.print(
                self._text(self._count, time.perf_counter()), highlight=False
            )

    def close(self) -> None:
        """Removes the live line, also after an error."""
        if self._status:
            self._status.stop()
            self._status = None

    def _text(self, done: int, now: float) -> str:
        """The count and the speed as text."""
        seconds = now - self._began
        return (
            f"{self._title}: {done:,} of {self._count:,}  {seconds:.1f} s  "
            f"{done / seconds:,.0f} images/s"
        )
