"""What `modelyard run PIPELINE --help` prints: one line per setting, in groups."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

from modelyard.pipelines import Pipeline

_WORDS = {int: "N", float: "X", str: "TEXT", bool: "True|False"}
_COMMAND_LINE = (
    ("--config FILE", "Settings from a JSON file, such as a run's config.json."),
    ("--resume RUN", "Resume an interrupted run; the only option then."),
)


def format_help(pipeline: Pipeline, config: Any) -> str:
    """Returns the help text.

    Args:
        pipeline: The pipeline.
        config: Its config, whose values are shown as defaults.
    """
    sections = {"Common options": [*_own_rows(config), *_COMMAND_LINE]}
    for field in dataclasses.fields(config):
        group = getattr(config, field.name)
        if dataclasses.is_dataclass(group):
            sections[_title(group)] = list(_own_rows(group))
    width = max(len(flag) for rows in sections.values() for flag, _ in rows)
    lines = [
        f"usage: modelyard run {pipeline.name} [options]",
        "",
        pipeline.summary,
        f"Defaults are those of the recipe {config.recipe!r}.",
        "Flags override --config, which overrides the recipe.",
    ]
    for title, rows in sections.items():
        lines += ["", title]
        lines += [f"  {flag:{width}}  {text}" for flag, text in rows]
    return "\n".join(lines)


def _own_rows(settings: Any) -> Iterator[tuple[str, str]]:
    """Flag and description of the settings that are not in a group below."""
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            continue
        flag = f"--{field.name.replace('_', '-')}"
        hint = hints[field.name]
        if hint is bool:
            name = flag.replace("--", "--no-", 1) if value else flag
            yield name, f"{_negated(field, value)}"
            continue
        choices = _choices(hint)
        one_of = f" One of: {', '.join(choices)}." if len(choices) > 1 else ""
        help_text = field.metadata["help"]
        yield f"{flag} {_metavar(hint)}", f"{help_text}{one_of} [{_shown(value)}]"


def _negated(field: dataclasses.Field, value: bool) -> str:  # noqa: FBT001
    """What a switch does when it is given."""
    text = field.metadata["help"]
    return f"Do not {text[0].lower()}{text[1:]}" if value else text


def _choices(hint: Any) -> list[str]:
    """The values of a setting whose type lists them."""
    if typing.get_origin(hint) is typing.Literal:
        return list(map(str, typing.get_args(hint)))
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return [word for part in typing.get_args(hint) for word in _choices(part)]
    return []


def _metavar(hint: Any) -> str:
    """The placeholder for the value of a flag."""
    if hint in _WORDS:
        return _WORDS[hint]
    if typing.get_origin(hint) is tuple:
        return f"{_metavar(typing.get_args(hint)[0])} ..."
    if typing.get_origin(hint) is typing.Literal:
        choices = _choices(hint)
        return "NAME" if len(choices) > 1 else choices[0]
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return "|".join(map(_metavar, parts))


def _shown(value: Any) -> str:
    """A default as text."""
    if value is None:
        return "unset"
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _title(group: Any) -> str:
    """Heading of a group: the first line of its docstring."""
    return (type(group).__doc__ or "").splitlines()[0].rstrip(".")
