"""Unicode normalisation of single characters as a lookup table."""

import functools
import unicodedata

import numpy as np

# Ideographs outside these ranges have no other form; the second range has the
# compatibility ideographs.
_PLANES = (*range(0x20000), *range(0x2F800, 0x2FA20))
_LONGEST = 4  # Characters. The few with longer forms are not replaced.
_UNKNOWN = 0xFFFD  # Replacement character for invalid UTF-8.
# Combining marks to drop. Those of Indic, Arabic and Hebrew scripts are part of the
# word and are kept.
_ACCENTS = (
    range(0x0300, 0x0370),
    range(0x1AB0, 0x1B00),
    range(0x1DC0, 0x1E00),
    range(0x20D0, 0x2100),
    range(0xFE00, 0xFE10),  # Variation selectors, as in emoji.
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
    """Returns the characters that are replaced by simpler forms.

    The simpler form is in lower case and NFKC without accents. Typographic quotation
    marks, apostrophes and dashes become ASCII. C1 control characters are read as
    Windows-1252, where they usually come from. Every space and control character
    becomes a space. Invisible formatting characters are removed.

    Returns:
        The code points of the characters, int32 `(m,)`, ascending; and the code points
        of their simpler forms, int32 `(m, 4)`, padded with zeros.
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
    """Returns the simpler form of a character."""
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
    if category in ("Cs", "Co", "Cn"):  # Surrogate, private or unassigned.
        return character
    # Lower case may add accents, and symbols may decompose into capitals.
    decomposed = unicodedata.normalize("NFKD", character.lower()).lower()
    letters = (c for c in decomposed if not any(ord(c) in r for r in _ACCENTS))
    return unicodedata.normalize("NFC", "".join(letters)).translate(_ALIKE)
