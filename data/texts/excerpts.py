"""One-line excerpts of texts for the terminal."""


def shorten(text: str, length: int) -> str:
    """Puts a text on one line and truncates it if it is too long.

    Unlike `textwrap.shorten`, it can cut between any two characters, because some
    scripts, such as Chinese, have no spaces.

    Args:
        text: Any text.
        length: Maximum number of characters of the result, above 4.

    Returns:
        The text with white space collapsed to single spaces; ends with " ..." if
        truncated.
    """
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    return line[: length - 4].rstrip() + " ..."
