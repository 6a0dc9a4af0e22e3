"""Steps that the runs of all pipelines share: settings, room, resuming, publishing."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    import keras

DOCUMENTS = ("config.json", "environment.json", "metrics.json", "MODEL_CARD.md")
_EXPORT_FILE = "export.json"  # In the run folder: where the export went.


def with_absolute_paths(config: Any) -> Any:
    """Returns the config as it is written down: it works from any folder."""
    kind, colon, rest = config.dataset.partition(":")
    path, *options = rest.split("?", 1)
    if colon:
        absolute = Path(path).expanduser().resolve()
        rest = "?".join([str(absolute), *options])
    folders = {
        name: str(Path(getattr(config, name)).expanduser().resolve())
        for name in ("runs_dir", "saved_models_dir", "pretrained")
        if getattr(config, name, None) is not None
    }
    return dataclasses.replace(config, dataset=f"{kind}{colon}{rest}", **folders)


def check_settings(config: Any, rules: Iterable[tuple[str, Any, str]]) -> None:
    """Refuses settings that no training can use.

    Args:
        config: Settings of a pipeline.
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


def builder_options(
    config: Any, builder: Callable[..., Any], names: Iterable[str]
) -> dict[str, Any]:
    """Returns the arguments for a model builder, from the fields that were given.

    Args:
        config: Settings; fields that are `None` leave it to the builder.
        builder: Function that builds the model.
        names: Fields that are options of some builder.

    Raises:
        ValueError: If a field is given that this builder does not take.
    """
    given = {n: getattr(config, n) for n in names if getattr(config, n) is not None}
    accepted = inspect.signature(builder).parameters
    for name, value in given.items():
        if name not in accepted:
            raise ValueError(
                f"`{name}` is not an option of the model {config.model}, which "
                f"takes {', '.join(n for n in names if n in accepted)}. "
                f"Received: {name}={value!r}"
            )
    return given


def compile_classifier(
    model: keras.Model, config: Any, total_steps: int, **options: Any
) -> None:
    """Compiles a classifier as the settings of a run say.

    Args:
        model: The classifier, with logits.
        config: Settings of a pipeline.
        total_steps: Updates of the whole training.
        **options: Further arguments of `make_optimizer`.
    """
    import keras

    from modelyard.training.optimizers import SmoothedCrossentropy, make_optimizer
    from modelyard.training.precision import resolve_xla

    optimizer = make_optimizer(
        config.optimizer,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        total_steps=total_steps,
        warmup_share=config.warmup_share,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        clip_norm=config.clip_norm,
        ema=config.ema,
        **options,
    )
    model.compile(
        optimizer,
        SmoothedCrossentropy(config.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=resolve_xla(config.xla),
    )


def publish_run(folder: Path, publish: Callable[[], Path]) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Args:
        folder: The run's folder.
        publish: Exports the model, and returns where to. Not called on another
            backend than TensorFlow: a process of its own exports then.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    import keras

    from modelyard.training.files import write_json
    from modelyard.training.run_folder import require_finished

    require_finished(folder)
    if keras.backend.backend() != "tensorflow":
        return _export_with_tensorflow(folder)
    path = publish()
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
    from modelyard.exporting.image_classifier import GateError
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
