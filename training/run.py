"""The life of a run: its folder, what it prints, its timings, and how to resume it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console

from modelyard.training.checkpoint import Progress
from modelyard.training.files import (
    require_space,
    storage_errors,
    write_json,
)
from modelyard.training.fit import DivergenceError, fit_resumably
from modelyard.training.run_folder import (
    describe_environment,
    new_run_folder,
    resume_command,
    with_absolute_paths,
    write_config,
)

_SMALL_FILES = 20_000_000  # Bytes: report, events and the like.
_BYTES_PER_WEIGHT = 64  # Checkpoints with two averages, the model and its export.


class Run:
    """A run in progress, created by `open_run`.

    Attributes:
        pipeline: Name of the pipeline.
        config: Settings, with absolute paths.
        console: Where progress is shown.
        timing: Seconds of the steps so far, by name.
        folder: Folder of the run, after `begin`.
    """

    def __init__(
        self, pipeline: str, config: Any, *, resumed: Path | None, console: Console
    ):
        self.pipeline = pipeline
        self.config = with_absolute_paths(config)
        self.console = console
        self.timing: dict[str, float] = {}
        self._resumed = resumed
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Folder of the run.

        Raises:
            RuntimeError: If the run has not begun yet.
        """
        if self._folder is None:
            raise RuntimeError("The run has no folder before `begin` is called.")
        return self._folder

    @property
    def has_begun(self) -> bool:
        """Whether there is a folder to resume from."""
        return self._folder is not None

    def say(self, text: str) -> None:
        """Prints one or more lines."""
        self.console.print(text, highlight=False)

    @contextlib.contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Records the seconds of a step as `timing["<step>_seconds"]`."""
        began = time.perf_counter()
        yield
        self.timing[f"{step}_seconds"] = time.perf_counter() - began

    def begin(self, model: keras.Model, *, extra_bytes: int = 0) -> None:
        """Creates the folder of the run, or continues in the one that is resumed.

        Nothing is written before this call, so check all settings first.

        Args:
            model: The model to train.
            extra_bytes: Disk space needed in addition to checkpoints and exports.

        Raises:
            StorageError: If a folder cannot be written or has too little room.
        """
        config, output = self.config, self.config.output
        needed = _SMALL_FILES + _BYTES_PER_WEIGHT * model.count_params() + extra_bytes
        for root in [
            output.runs_dir,
            *([output.saved_models_dir] if output.export else []),
        ]:
            require_space(Path(root), needed)
        self._folder = self._resumed or new_run_folder(
            Path(output.runs_dir), self.pipeline, config.dataset, config.model
        )
        write_config(self._folder, self.pipeline, config)
        self.write_json("environment.json", describe_environment(model))
        self.say(f"Run: {self._folder}")

    def fit(
        self,
        model: keras.Model,
        make_dataset: Callable[[int], tf.data.Dataset],
        validation: tf.data.Dataset,
        *,
        epochs: int,
        steps_per_epoch: int,
        patience: int = 0,
        part: str = "",
    ) -> Progress:
        """Trains a model as `fit_resumably` does.

        Args:
            model: As for `fit_resumably`.
            make_dataset: As for `fit_resumably`.
            validation: As for `fit_resumably`.
            epochs: As for `fit_resumably`.
            steps_per_epoch: As for `fit_resumably`.
            patience: As for `fit_resumably`.
            part: Subfolder for the checkpoints, if the run has several trainings.
        """
        return fit_resumably(
            model,
            make_dataset,
            validation,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            folder=self.folder / part,
            patience=patience,
            console=self.console,
        )

    def save(self, model: keras.Model, name: str = "model.keras") -> None:
        """Writes a model into the folder, completely or not at all."""
        path = self.folder / name
        partial = self.folder / f".partial-{name}"
        with storage_errors(path):
            try:
                model.save(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> None:
        """Writes a JSON file into the folder."""
        write_json(self.folder / name, content)


@contextlib.contextmanager
def open_run(
    pipeline: str,
    config: Any,
    *,
    resume: Path | None = None,
    console: Console | None = None,
) -> Iterator[Run]:
    """Yields a run. If it is interrupted, prints how to resume it.

    Args:
        pipeline: Name of the pipeline.
        config: Settings; for a resumed run those it was started with.
        resume: Folder of an interrupted run to resume.
        console: Where progress is shown; standard output by default.
    """
    run = Run(pipeline, config, resumed=resume, console=console or Console())
    try:
        yield run
    except (DivergenceError, ValueError):
        raise  # It would fail again.
    except BaseException:
        if run.has_begun:
            run.say(f"Stopped. Resume with: {resume_command(pipeline, run.folder)}")
        raise
