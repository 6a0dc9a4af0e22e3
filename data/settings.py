"""Settings of a run: frozen dataclasses, whose groups nest and whose names are flat.

A config holds settings of its own and groups of settings, which are dataclasses too. On
the command line, in recipes and in `config.json` all of them have one flat list of
names, so no two groups of a config may share a name.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from modelyard.data.names import require_known

T = TypeVar("T")


def setting(default: T, text: str) -> T:
    """Returns a dataclass field with a default and a line for `--help`."""
    return dataclasses.field(default=default, metadata={"help": text})


def group(kind: type[T]) -> T:
    """Returns a dataclass field that holds a group of settings with its defaults."""
    return dataclasses.field(default_factory=kind)


def check_settings(settings: Any, rules: Iterable[tuple[str, Any, str]]) -> None:
    """Refuses settings that break a rule.

    Args:
        settings: A config or a group.
        rules: Name of a setting, whether it is as it must be, and the rule in words.

    Raises:
        ValueError: At the first rule that is broken.
    """
    for name, holds, rule in rules:
        if not holds:
            value = getattr(settings, name)
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}")


def flatten_settings(config: Any) -> dict[str, Any]:
    """Returns the values of all settings by name, those of groups included."""
    return {
        field.name: getattr(owner, field.name) for owner, field in _settings(config)
    }


def make_config(kind: type[T], values: Mapping[str, Any], *, source: str = "") -> T:
    """Makes a config from a flat mapping; what is missing has its default.

    Args:
        kind: Class of the config.
        values: Settings by name, those of groups included. Lists become tuples, since
            JSON has no tuples.
        source: Where the values come from, for the error.

    Raises:
        ValueError: If a name is unknown or a value is out of range.
    """
    default = kind()
    known = list(flatten_settings(default))
    what = f"setting in {source}" if source else "setting"
    for name in values:
        require_known(what, name, known)
    return replace_settings(default, values)


def replace_settings(config: T, values: Mapping[str, Any]) -> T:
    """Returns a config with other values for some settings, wherever they nest."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = replace_settings(value, values)
        elif field.name in values:
            given = values[field.name]
            changes[field.name] = tuple(given) if isinstance(given, list) else given
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _settings(config: Any) -> Iterator[tuple[Any, dataclasses.Field]]:
    """Yields each setting with the config or group that has it."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield config, field
