"""Cleans raw texts with ops that are part of the served graph."""

import keras
import tensorflow as tf

from modelyard.data.texts.unicode_forms import character_forms

_ASCII = r"[\x00-\x7f]*"
_TAG = r"<[/!]?[a-z][^<>]*>"
_BLANK = r"\x00-\x20\x7f"
# Everything except letters, marks, numbers, apostrophes and blanks, which leaves
# punctuation, symbols and emoji. Scripts written without spaces are split into
# characters.
_OWN_TOKEN = (
    r"[^\pL\pM\pN'" + _BLANK + r"]|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}]"
)
# Runs of blanks, control characters, and apostrophes outside words.
_GAP = rf"'+[{_BLANK}][{_BLANK}']*|[{_BLANK}][{_BLANK}']+|[\x00-\x1f\x7f]|^'+|'+$"


@keras.saving.register_keras_serializable(package="modelyard")
def clean_texts(texts: tf.Tensor) -> tf.Tensor:
    """Splits texts into lower-case words and punctuation, separated by single spaces.

    Normalises Unicode and drops accents (see `character_forms`), removes tags such as
    `<br />`, and replaces invalid UTF-8 by spaces. Punctuation marks and emoji become
    separate tokens. Apostrophes within words are kept, others are removed. A run of
    dots becomes the token `…`, a run of hyphens one hyphen.

    Uses only TensorFlow ops; ASCII texts take a faster path.

    Args:
        texts: UTF-8 strings of any shape.

    Returns:
        Strings of the same shape. A text without tokens becomes the empty string.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    flat = tf.reshape(texts, [-1])
    ascii_only = tf.strings.regex_full_match(flat, _ASCII)
    # Both kinds are processed separately and merged in the original order.
    kind = tf.cast(ascii_only, tf.int32)
    other, plain = tf.dynamic_partition(flat, kind, 2)
    places = tf.dynamic_partition(tf.range(tf.size(flat)), kind, 2)
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
