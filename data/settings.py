"""Settings of a run: frozen dataclasses with nested groups and flat names.

A config has settings of its own and groups of settings, which are dataclasses too. The
command line, recipes and `config.json` use one flat list of names for all of them, so
names must be unique across the groups of a config.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from modelyard.data.names import require_known

T = TypeVar("T")


def setting(default: T, text: str) -> T:
    """Returns a dataclass field with a default and a help text for `--help`."""
    return dataclasses.field(default=default, metadata={"help": text})


def group(kind: Callable[[], T]) -> T:
    """Returns a dataclass field that holds a group of settings with its defaults."""
    return dataclasses.field(default_factory=kind)


def check_settings(settings: Any, rules: Iterable[tuple[str, Any, str]]) -> None:
    """Checks settings against rules.

    Args:
        settings: A config or a group.
        rules: Tuples of the name of a setting, whether its value is valid, and the
            rule in words, such as "at least 1".

    Raises:
        ValueError: If a value is invalid. Names the first one.
    """
    for name, holds, rule in rules:
        if not holds:
            value = getattr(settings, name)
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}")


def flatten_settings(config: Any) -> dict[str, Any]:
    """Returns all settings by name, including those in groups."""
    return {
        field.name: getattr(owner, field.name) for owner, field in _settings(config)
    }


def make_config(kind: type[T], values: Mapping[str, Any], *, source: str = "") -> T:
    """Makes a config from a flat mapping; missing settings keep their defaults.

    Args:
        kind: Class of the config.
        values: Settings by name, including those in groups. Lists become tuples,
            because JSON has no tuples.
        source: Where the values come from, for the error message.

    Returns:
        An instance of `kind`.

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
    """Returns a copy of a config with new values, also for settings in groups."""
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
    """Yields each setting with the config or group that owns it."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield config, field
