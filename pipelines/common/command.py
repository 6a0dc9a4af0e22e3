"""From the command line to a config: flags over file over recipe over defaults."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from modelyard.data.settings import make_config
from modelyard.pipelines import Pipeline
from modelyard.pipelines.common.help import format_help
from modelyard.pipelines.common.recipes import recipe_values

# These choose the recipe, so they are read before all other settings.
_KEYS = ("recipe", "dataset", "model")


def parse_config(
    pipeline: Pipeline, arguments: Sequence[str]
) -> tuple[Any, Path | None]:
    """Parses the arguments of `modelyard run PIPELINE`.

    Args:
        pipeline: The pipeline.
        arguments: Everything after its name.

    Returns:
        The config, and the folder of the run to resume, if one is named.

    Raises:
        ValueError: If a name or a value is refused.
        SystemExit: After `--help`, or if a flag is unknown.
    """
    parser = argparse.ArgumentParser(
        prog=f"modelyard run {pipeline.name}",
        usage="%(prog)s [options]; see %(prog)s --help",
        add_help=False,
        allow_abbrev=False,
    )
    for name in ("config", "resume", *_KEYS):
        parser.add_argument(f"--{name}")
    named, others = parser.parse_known_args(arguments)
    wants_help = bool({"-h", "--help"} & set(others))
    if named.resume is not None and not wants_help:
        given = [key for key, value in vars(named).items() if value is not None]
        if others or given != ["resume"]:
            raise ValueError(
                "`--resume` must be the only option: a run is resumed with its own "
                f"settings. Received: {' '.join(arguments)}"
            )
        return _read_config_of_run(pipeline, Path(named.resume)), Path(named.resume)
    values = {}
    if named.config is not None:
        values = _read_config_file(pipeline, Path(named.config))
    values |= {key: vars(named)[key] for key in _KEYS if vars(named)[key] is not None}
    default = _default_config(pipeline, values, source=named.config or "")
    if wants_help:
        # Plain text, whatever the width of the terminal.
        print(format_help(pipeline, default))  # noqa: T201
        raise SystemExit(0)
    config = tyro.cli(
        type(default),
        default=default,
        args=others,
        prog=f"modelyard run {pipeline.name}",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return config, None


def _default_config(pipeline: Pipeline, given: dict[str, Any], *, source: str) -> Any:
    """The config from recipe and file."""
    settings = pipeline.load_settings()
    plain = settings.Config()
    recipe, dataset, model = (given.get(key, getattr(plain, key)) for key in _KEYS)
    values = recipe_values(settings.RECIPES, recipe, dataset.partition("?")[0], model)
    return make_config(settings.Config, values | given, source=source)


def _read_config_of_run(pipeline: Pipeline, folder: Path) -> Any:
    """The config that a run was started with."""
    from modelyard.training.run_folder import RunError, read_config, read_run_json

    name = read_run_json(folder, "config.json").get("pipeline")
    if name != pipeline.name:
        raise RunError(
            f"`resume` must be a run of {pipeline.name}. "
            f"Received: resume={folder}, a run of {name}"
        )
    return read_config(folder, pipeline.load_settings().Config)


def _read_config_file(pipeline: Pipeline, path: Path) -> dict[str, Any]:
    """Config values from a JSON file."""
    from modelyard.training.run_folder import with_current_names

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
    name = values.pop("pipeline", pipeline.name)
    if name != pipeline.name:
        raise ValueError(
            f"`config` must be one of {pipeline.name}. "
            f"Received: config={path}, of {name}"
        )
    return with_current_names(values)
