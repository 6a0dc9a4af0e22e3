"""Cleaning of raw texts, as part of the graph that is served."""

import keras
import tensorflow as tf

from modelyard.data.texts.unicode_forms import character_forms

_ASCII = r"[\x00-\x7f]*"
_TAG = r"<[/!]?[a-z][^<>]*>"
_BLANK = r"\x00-\x20\x7f"
# What is neither a letter, its mark, a digit, an apostrophe nor blank: punctuation
# and signs, emoji among them. Scripts that write without spaces are taken character
# by character.
_OWN_TOKEN = (
    r"[^\pL\pM\pN'" + _BLANK + r"]|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}]"
)
# Runs of blanks, control characters, and apostrophes that are not within a word.
_GAP = rf"'+[{_BLANK}][{_BLANK}']*|[{_BLANK}][{_BLANK}']+|[\x00-\x1f\x7f]|^'+|'+$"


@keras.saving.register_keras_serializable(package="modelyard")
def clean_texts(texts: tf.Tensor) -> tf.Tensor:
    """Turns texts into lower-case words and punctuation with single spaces between.

    Unicode is normalised and accents are dropped (see `character_forms`), tags such
    as `<br />` are gone, bytes that are not UTF-8 become spaces. Punctuation marks
    and emoji are tokens of their own, but for apostrophes: those within a word stay,
    the others go. A run of dots is the one token `…`, a run of hyphens one hyphen.

    All of it is ops of the C++ runtime; a text that is all ASCII costs less.

    Args:
        texts: Strings in UTF-8 of any shape.

    Returns:
        Strings of the same shape. A text without words gives the empty string.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    flat = tf.reshape(texts, [-1])
    ascii_only = tf.strings.regex_full_match(flat, _ASCII)
    # The two kinds go different ways and come together in the old order.
    way = tf.cast(ascii_only, tf.int32)
    other, plain = tf.dynamic_partition(flat, way, 2)
    places = tf.dynamic_partition(tf.range(tf.size(flat)), way, 2)
    flat = tf.dynamic_stitch(places, [_plain_forms(other), tf.strings.lower(plain)])
    for pattern, replacement in (
        (_TAG, " "),
        (r"\.\.+", "…"),
        (r"--+", "-"),
        (_OWN_TOKEN, r" \0 "),
        (_GAP, " "),
    ):
        flat = tf.strings.regex_replace(flat, pattern, replacement)
    return tf.reshape(tf.strings.strip(flat), tf.shape(texts))


def _plain_forms(texts):
    """Replaces every character by its plain form."""
    known, plain = character_forms()
    characters = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
    codes = characters.flat_values
    places = tf.minimum(tf.searchsorted(known, codes), len(known) - 1)
    found = tf.gather(known, places) == codes
    themselves = tf.pad(codes[:, tf.newaxis], [[0, 0], [0, plain.shape[1] - 1]])
    forms = tf.where(found[:, tf.newaxis], tf.gather(plain, places), themselves)
    used = forms != 0
    lengths = characters.with_flat_values(tf.reduce_sum(tf.cast(used, tf.int64), 1))
    return tf.strings.unicode_encode(
        tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(forms, used),
            tf.reduce_sum(lengths, axis=1),
            validate=False,
        ),
        "UTF-8",
    )
