"""Settings of a run: frozen dataclasses with nested groups and flat names.

A config has settings of its own and groups of settings, which are dataclasses too. The
command line, recipes and `config.json` use one flat list of names for all of them, so
names must be unique across the groups of a config.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from modelyard.data.names import require_known

T = TypeVar("T")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


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
        ValueError: If a name is unknown, or a value is of another type or out of range.
    """
    default = kind()
    known = list(flatten_settings(default))
    what = f"setting in {source}" if source else "setting"
    for name in values:
        require_known(what, name, known)
    return replace_settings(default, values)


def replace_settings(config: T, values: Mapping[str, Any]) -> T:
    """Returns a copy of a config with new values, also for settings in groups.

    Raises:
        ValueError: If a value is of another type or out of range.
    """
    changes: dict[str, Any] = {}
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = replace_settings(value, values)
        elif field.name in values:
            given = values[field.name]
            given = tuple(given) if isinstance(given, list) else given
            if not _fits(given, hints[field.name]):
                raise ValueError(
                    f"`{field.name}` must be {_describe(hints[field.name])}. "
                    f"Received: {field.name}={given!r}"
                )
            changes[field.name] = given
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _settings(config: Any) -> Iterator[tuple[Any, dataclasses.Field]]:
    """Yields each setting with the config or group that owns it."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield config, field


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a setting is annotated with."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value in parts
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, parts[0]) for v in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def _describe(hint: Any) -> str:
    """The values that an annotation allows, in words."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        names = ", ".join(map(str, parts))
        return f"one of {names}" if len(parts) > 1 else f'"{names}"'
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_describe, parts))
    if origin is tuple:
        return f"a list, each item {_describe(parts[0])}"
    return _WORDS.get(hint, "null")
