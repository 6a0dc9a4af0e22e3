"""The folder of a run: settings, environment and results."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from modelyard.data.settings import flatten_settings, make_config, replace_settings
from modelyard.training.files import storage_errors, write_json

T = TypeVar("T")

_RENAMED = {"backbone": "model"}
_PACKAGES = ("modelyard", "tensorflow", "keras", "numpy", "jax", "scikit-learn")


class RunError(ValueError):
    """A folder is not a run, or not in the state that is needed."""


def new_run_folder(runs_dir: Path, pipeline: str, dataset: str, model: str) -> Path:
    """Creates `runs_dir/<pipeline>/<dataset>-<model>/<UTC time>/`.

    Raises:
        StorageError: If it cannot be created.
    """
    parent = runs_dir / pipeline / f"{slug(dataset)}-{model}"
    now = datetime.datetime.now(datetime.UTC)
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(100):
            stamp = now.strftime("%Y%m%dT%H%M%SZ")
            folder = parent / (f"{stamp}-{attempt}" if attempt else stamp)
            try:
                folder.mkdir()
            except FileExistsError:  # Another run began within the same second.
                continue
            return folder
    raise RunError(f"No free name for a run. Received: runs_dir={runs_dir}")


def slug(dataset: str) -> str:
    """Returns a data set's spec as a part of file names."""
    kind, _, rest = dataset.partition(":")
    path, _, options = rest.partition("?")
    text = f"{kind}-{Path(path).name}-{options}" if rest else dataset
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-")


def with_absolute_paths(config: Any) -> Any:
    """Returns a config whose paths work from any folder, as `config.json` has them.

    Args:
        config: Settings, with a data set spec under `dataset`, and perhaps others under
            `evaluate_on`. Paths are the settings `runs_dir`, `saved_models_dir`,
            `pretrained` and `classifier`, where a config has them.
    """
    settings = flatten_settings(config)
    changes: dict[str, Any] = {"dataset": _with_absolute_path(settings["dataset"])}
    if "evaluate_on" in settings:
        changes["evaluate_on"] = tuple(
            map(_with_absolute_path, settings["evaluate_on"])
        )
    for name in ("runs_dir", "saved_models_dir", "pretrained", "classifier"):
        if settings.get(name) is not None:
            changes[name] = str(Path(settings[name]).expanduser().resolve())
    return replace_settings(config, changes)


def write_config(folder: Path, pipeline: str, config: Any) -> None:
    """Writes `config.json`: the pipeline's name and all settings, in one flat list."""
    settings = flatten_settings(config)
    write_json(folder / "config.json", {"pipeline": pipeline, **settings})


def read_config(folder: Path, config_class: type[T]) -> T:
    """Reads the config that a run was started with.

    Raises:
        RunError: If `folder` holds no readable `config.json`, or one of a version with
            other settings.
    """
    settings = with_current_names(read_run_json(folder, "config.json"))
    settings.pop("pipeline", None)
    try:
        return make_config(config_class, settings, source=str(folder / "config.json"))
    except ValueError as error:
        raise RunError(str(error)) from error


def with_current_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings by the names that this version uses."""
    return {_RENAMED.get(name, name): value for name, value in settings.items()}


def read_run_json(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON file of a run.

    Raises:
        RunError: If it is not there or not JSON; the message says what to do.
    """
    try:
        return json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"`run` must be the folder of a run, with a readable {name} in it "
            "(a run prints its folder; metrics.json comes at its end). "
            f"Received: run={folder} ({error})"
        ) from error


def resume_command(pipeline: str, folder: Path) -> str:
    """Returns the command that resumes a run."""
    return f"modelyard run {pipeline} --resume {shlex.quote(str(folder))}"


def require_finished(folder: Path) -> None:
    """Makes sure that a run has its trained model.

    Raises:
        RunError: If it has not; the message says how to finish it.
    """
    if not (folder / "model.keras").exists():
        pipeline = read_run_json(folder, "config.json")["pipeline"]
        raise RunError(
            "`run` must have finished its training. Finish it with "
            f"`{resume_command(pipeline, folder)}`. Received: run={folder}"
        )


def describe_environment(model: Any) -> dict[str, Any]:
    """Returns versions, hardware, precision and the commit of our code."""
    import keras  # Not at the top: reading the files of a run needs no Keras.

    from modelyard.training.precision import gpu_names

    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "backend": keras.backend.backend(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "gpus": gpu_names(),
        "dtype_policy": model.dtype_policy.name,
        "xla": bool(model.jit_compile),
        "git_commit": _git_commit(),
    }


def _with_absolute_path(spec: str) -> str:
    """The spec of a data set whose path works from any folder."""
    kind, colon, rest = spec.partition(":")
    if not colon:
        return spec
    path, *options = rest.split("?", 1)
    return f"{kind}:{'?'.join([str(Path(path).expanduser().resolve()), *options])}"


def _cpu_name() -> str:
    """The processor's own name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """Commit of the checkout that this file lies in, if it lies in one."""
    here = Path(__file__).parent
    if not (here.parent / ".git").exists():
        return None
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return answer.stdout.strip() or None
