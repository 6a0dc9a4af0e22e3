"""From the command line to a config: flags over file over recipe over defaults."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from modelyard.data.names import require_known
from modelyard.pipelines.recipes import recipe_values


def parse_config(
    module: ModuleType, arguments: Sequence[str]
) -> tuple[Any, Path | None]:
    """Parses the arguments of `modelyard run PIPELINE`.

    Args:
        module: The pipeline's module, with `NAME`, `Config`, `RECIPES` and, where
            the field that names the model is not `model`, its name `MODEL_FIELD`.
        arguments: What follows the pipeline's name.

    Returns:
        The config, and the folder of the run to go on with, if one is named.

    Raises:
        ValueError: If a name or a value is refused.
        SystemExit: After `--help`, or after a flag that does not exist.
    """
    parser = argparse.ArgumentParser(
        prog=f"modelyard run {module.NAME}",
        usage="%(prog)s [options]; all of them: %(prog)s --help",
        add_help=False,
        allow_abbrev=False,
    )
    keys = ("recipe", "dataset", getattr(module, "MODEL_FIELD", "model"))
    for name in ("config", "resume", *keys):
        parser.add_argument(f"--{name}")
    named, others = parser.parse_known_args(arguments)
    if named.resume:
        if others or any(vars(named)[k] for k in vars(named) if k != "resume"):
            raise ValueError(
                "`--resume` must stand alone: a run goes on with the settings that "
                f"it began with. Received: {' '.join(arguments)}"
            )
        return _config_of_run(module, Path(named.resume)), Path(named.resume)
    given = _read_config_file(module, Path(named.config)) if named.config else {}
    defaults = module.Config()
    for name in keys:
        if vars(named)[name] is not None:
            given[name] = vars(named)[name]
    recipe, dataset, model = (given.get(n, getattr(defaults, n)) for n in keys)
    values = recipe_values(module.RECIPES, recipe, dataset.partition("?")[0], model)
    summary = (module.__doc__ or "").splitlines()[0]
    config = tyro.cli(
        module.Config,
        default=module.Config(**values | given),
        args=others,
        prog=f"modelyard run {module.NAME}",
        description=(
            f"{summary} Values shown are those of the recipe; "
            "flags win over --config FILE (JSON, as in a run's config.json), the "
            "file over the recipe. --resume RUN goes on with an interrupted run."
        ),
    )
    return config, None


def _config_of_run(module: ModuleType, folder: Path) -> Any:
    """The config that a run was started with."""
    from modelyard.training.run_folder import RunError, read_config, read_run_json

    pipeline = read_run_json(folder, "config.json").get("pipeline")
    if pipeline != module.NAME:
        raise RunError(
            f"`resume` must be a run of {module.NAME}. "
            f"Received: resume={folder}, a run of {pipeline}"
        )
    return read_config(folder, module.Config)


def _read_config_file(module: ModuleType, path: Path) -> dict[str, Any]:
    """Config values from a JSON file."""
    from modelyard.training.run_folder import with_tuples

    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`config` must be a readable JSON file. Received: config={path} ({error})"
        ) from error
    if not isinstance(values, dict):
        raise ValueError(
            "`config` must hold a JSON object of settings. "
            f"Received: {type(values).__name__} in {path}"
        )
    if values.pop("pipeline", module.NAME) != module.NAME:
        raise ValueError(f"`config` must be one of {module.NAME}. Received: {path}")
    known = [field.name for field in dataclasses.fields(module.Config)]
    for name in values:
        require_known(f"setting in {path}", name, known)
    return with_tuples(values)
