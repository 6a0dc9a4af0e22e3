"""Names that a user types, and what they may have meant."""

import difflib
from collections.abc import Iterable


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Answers an unknown name with the nearest known one.

    Args:
        what: The argument, as in `model`.
        name: What was received.
        known: Names that it may be.

    Raises:
        ValueError: If `name` is not among them.
    """
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"`{what}` must be one of {', '.join(known)}. "
            f"Received: {what}={name!r}.{hint}"
        )
