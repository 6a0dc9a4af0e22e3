"""Checks of names that a user types, with suggestions for misspelled ones."""

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """Suggests known names that are spelled like an unknown one.

    Args:
        name: The unknown name.
        known: Names that would be valid.
        most: Number of names to suggest at most.

    Returns:
        A sentence to append to an error message, such as `" Did you mean mnist?"`;
        empty if no known name is similar.
    """
    near = difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raises an error that suggests the nearest name unless `name` is known.

    Args:
        what: Name of the argument, such as `model`.
        name: The value received.
        known: Valid values.

    Raises:
        ValueError: If `name` is not one of `known`.
    """
    known = list(known)
    if name not in known:
        raise ValueError(
            f"`{what}` must be one of {', '.join(known)}. "
            f"Received: {what}={name!r}.{suggest(name, known)}"
        )
