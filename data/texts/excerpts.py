"""The beginning of a text, for a terminal."""


def shorten(text: str, length: int) -> str:
    """Puts a text on one line and cuts it, at any character, if it is too long.

    `textwrap.shorten` cuts at spaces only, and leaves nothing of a text that has
    none, such as a Chinese one.

    Args:
        text: Any text.
        length: Most characters of the result, above 4.

    Returns:
        The text with single spaces for all white space; " ..." is its end if it was
        cut.
    """
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    return line[: length - 4].rstrip() + " ..."
