"""Unicode normalisation, character by character, as a table."""

import functools
import unicodedata

import numpy as np

# Hangul, Chinese and Japanese ideographs beyond this have no other form, but for the
# compatibility ideographs of the supplement.
_PLANES = (*range(0x20000), *range(0x2F800, 0x2FA20))
_LONGEST = 4  # Characters that one may become; rarer long ones stay as they are.
_UNKNOWN = 0xFFFD  # What decoders put where bytes are not UTF-8.
# Marks that are written over letters; those of Indic, Arabic or Hebrew script are
# part of the word and stay.
_ACCENTS = (
    range(0x0300, 0x0370),
    range(0x1AB0, 0x1B00),
    range(0x1DC0, 0x1E00),
    range(0x20D0, 0x2100),
    range(0xFE00, 0xFE10),  # Choose between the pictures of an emoji.
    range(0xFE20, 0xFE30),
)
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u02b9\u2032\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        "\u2044": "/",
        "\u2026": "...",
    }
)


@functools.cache
def character_forms() -> tuple[np.ndarray, np.ndarray]:
    """Lists the characters that have a plainer form.

    Lower case; NFKC without accents; typographic quotation marks, apostrophes and
    dashes as in ASCII; C1 control characters as what they mean in Windows-1252, from
    where they come; every space and control character as a space; invisible
    formatting characters as nothing.

    Returns:
        Their code points, int32 `(m,)`, ascending; and what they become, int32
        `(m, 4)`, code points with zeros at the end.
    """
    forms = {
        code: form
        for code in _PLANES
        if (form := _plain_form(code)) != chr(code) and len(form) <= _LONGEST
    }
    plain = np.zeros((len(forms), _LONGEST), np.int32)
    for row, form in zip(plain, forms.values(), strict=True):
        row[: len(form)] = [ord(character) for character in form]
    return np.array(list(forms), np.int32), plain


def _plain_form(code):
    """Returns what a character becomes."""
    character = chr(code)
    if 0x80 <= code < 0xA0:
        character = bytes([code]).decode("cp1252", errors="replace")
    character = character.translate(_ALIKE)
    if character == chr(_UNKNOWN):
        return " "
    category = unicodedata.category(character[0])
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category == "Cf":
        return ""
    if category in ("Cs", "Co", "Cn"):  # No characters, or private ones.
        return character
    # Lower case may have accents of its own, and capitals may be hidden in signs.
    decomposed = unicodedata.normalize("NFKD", character.lower()).lower()
    letters = (c for c in decomposed if not any(ord(c) in r for r in _ACCENTS))
    return unicodedata.normalize("NFC", "".join(letters)).translate(_ALIKE)
