import pytest

from modelyard.data.texts.excerpts import shorten


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", "a b"),
        ("  a\n\tb\u3000c ", "a b c"),
        ("ten chars.", "ten chars."),
        ("eleven char", "eleven ..."),
        ("12345 89012", "12345 ..."),  # No second space before the dots.
        ("真的非常好看的一部电影", "真的非常好看 ..."),
        ("", ""),
    ],
)
def test_excerpt_is_one_line_truncated_at_any_character(text, expected):
    assert shorten(text, 10) == expected
