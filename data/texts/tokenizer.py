"""Vocabulary and tokenisation, for training and for the served graph."""

import collections
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.data.errors import DatasetError
from modelyard.data.stream import plain_options
from modelyard.data.texts.cleaning import clean_texts
from modelyard.data.texts.token_lists import (
    PADDING,
    UNKNOWN,
    TokenLists,
    Truncation,
    head_length,
    truncate_tokens,
)

__all__ = [
    "PADDING",
    "UNKNOWN",
    "TextEncoder",
    "TokenLists",
    "build_vocabulary",
    "encode_texts",
    "load_vocabulary",
    "make_text_encoder",
    "make_tokenizer",
    "save_vocabulary",
    "truncate_tokens",
]

_SPECIAL = ["", "[UNK]"]  # Entries for the ids `PADDING` and `UNKNOWN`.
_LONGEST_WORD = 64  # Bytes. Longer words are mostly addresses and noise.
_CHUNK = 256  # Texts.
_WORKERS = os.cpu_count() or 1


def build_vocabulary(
    texts: np.ndarray, max_words: int, min_count: int = 1
) -> list[str]:
    """Returns the most frequent words of texts after cleaning.

    Args:
        texts: Training texts, `str` objects `(n,)`.
        max_words: Maximum number of words, at least 1.
        min_count: Minimum number of occurrences of a word, at least 1.

    Returns:
        The words in id order: `""` (padding) and `"[UNK]"` (unknown words), then by
        decreasing count; ties in alphabetical order.

    Raises:
        ValueError: If an argument is out of range, or no word qualifies.
    """
    for argument, value in (("max_words", max_words), ("min_count", min_count)):
        if value < 1:
            raise ValueError(
                f"`{argument}` must be at least 1. Received: {argument}={value}"
            )
    counts: collections.Counter[bytes] = collections.Counter()
    for (cleaned,) in _map_chunks(texts, lambda chunk: (clean_texts(chunk),)):
        for text in cleaned:
            counts.update(text.split())
    ranked = sorted(
        (-count, word.decode())
        for word, count in counts.items()
        if count >= min_count and len(word) <= _LONGEST_WORD
    )
    if not ranked:
        raise ValueError(
            "`texts` must have words that occur at least `min_count` times. Received: "
            f"{len(texts)} texts, min_count={min_count}"
        )
    return [*_SPECIAL, *(word for _, word in ranked[:max_words])]


def save_vocabulary(vocabulary: Sequence[str], path: Path) -> None:
    """Writes a vocabulary as a JSON list.

    Args:
        vocabulary: The words in id order.
        path: File to write.
    """
    words = json.dumps(list(vocabulary), ensure_ascii=False, indent=0)
    path.write_text(words + "\n", encoding="utf-8")


def load_vocabulary(path: Path) -> list[str]:
    """Reads a vocabulary written by `save_vocabulary`.

    Args:
        path: The file.

    Returns:
        The words in id order.

    Raises:
        DatasetError: If the file does not contain a vocabulary.
    """
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(words, list) or words[:2] != _SPECIAL:
        raise DatasetError(
            f"A vocabulary must be a list that begins with {_SPECIAL}. Received: {path}"
        )
    return words


def make_tokenizer(vocabulary: Sequence[str]) -> keras.layers.TextVectorization:
    """Makes a layer that cleans texts and converts them to token ids.

    Args:
        vocabulary: The words in id order, as returned by `build_vocabulary`.

    Returns:
        A layer from strings `(n,)` to a ragged int64 tensor of ids in [1, number of
        words).
    """
    return keras.layers.TextVectorization(
        standardize=clean_texts,
        split="whitespace",
        ragged=True,
        vocabulary=list(vocabulary),
        name="tokenizer",
    )


def encode_texts(
    tokenizer: keras.layers.TextVectorization, texts: np.ndarray
) -> TokenLists:
    """Converts texts to token ids, using all cores.

    Args:
        tokenizer: Layer made by `make_tokenizer`.
        texts: `str` objects `(n,)`.

    Returns:
        The ids of all words. A text without words becomes one unknown word.
    """

    def encode(chunk):
        ids = tokenizer(chunk)
        return tf.cast(ids.flat_values, tf.int32), ids.row_lengths()

    chunks = list(_map_chunks(texts, encode))
    ids = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in chunks)])
    lengths = np.concatenate([np.empty(0, np.int64), *(n for _, n in chunks)])
    ends = np.cumsum(lengths)
    ids = np.insert(ids, ends[lengths == 0], UNKNOWN)
    offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 1))])
    return TokenLists(ids, offsets.astype(np.int64))


class TextEncoder(tf.Module):
    """Converts raw strings to model inputs, as part of the served graph.

    Assign it to an attribute of the exported module, so that the export includes its
    lookup table.

    Args:
        tokenizer: Layer made by `make_tokenizer`.
        max_length: Maximum number of ids per text, at least 1.
        truncation: As for `truncate_tokens`.
    """

    def __init__(
        self,
        tokenizer: keras.layers.TextVectorization,
        max_length: int,
        truncation: Truncation,
    ) -> None:
        """Checks the arguments."""
        super().__init__(name="text_encoder")
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.truncation = truncation
        self._head = head_length(max_length, truncation)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Encodes texts.

        Args:
            texts: Strings `(n,)`; invalid UTF-8 is read as spaces.

        Returns:
            int32 `(n, t)`: the ids of `encode_texts` and `truncate_tokens`, padded at
            the end to the longest text, with at least one column.
        """
        ids = self.tokenizer(texts)
        surplus = tf.maximum(ids.row_lengths() - self.max_length, 0)[:, tf.newaxis]
        lengths = ids.row_lengths()[:, tf.newaxis] - surplus
        columns = tf.reduce_max(tf.concat([tf.ones((1, 1), tf.int64), lengths], axis=0))
        positions = tf.range(columns)[tf.newaxis]
        skipped = surplus * tf.cast(positions >= self._head, tf.int64)
        # Padding positions point to an extra id at the end.
        flat = tf.concat([tf.cast(ids.flat_values, tf.int32), [PADDING]], axis=0)
        sources = tf.where(
            positions < lengths,
            ids.row_starts()[:, tf.newaxis] + positions + skipped,
            tf.size(flat, tf.int64) - 1,
        )
        tokens = tf.gather(flat, sources)
        # A text without words becomes one unknown word.
        return tf.concat([tf.maximum(tokens[:, :1], UNKNOWN), tokens[:, 1:]], axis=1)


def make_text_encoder(
    tokenizer: keras.layers.TextVectorization,
    max_length: int,
    truncation: Truncation = "head",
) -> TextEncoder:
    """Makes the preprocessing of a served text model.

    Args:
        tokenizer: Layer made by `make_tokenizer`.
        max_length: Maximum number of ids per text, at least 1.
        truncation: As for `truncate_tokens`.

    Returns:
        A callable from strings `(n,)` to int32 `(n, t)`, for use in a graph.

    Raises:
        ValueError: If `max_length` is below 1 or `truncation` is unknown.
    """
    return TextEncoder(tokenizer, max_length, truncation)


def _map_chunks(
    texts: np.ndarray, function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Applies a function to chunks of texts, in order, using all cores."""
    if not len(texts):
        return iter(())
    dataset = tf.data.Dataset.from_tensor_slices(tf.constant(list(texts), tf.string))
    return (
        dataset.batch(_CHUNK)
        .map(function, num_parallel_calls=_WORKERS, deterministic=True)
        .prefetch(_WORKERS)
        .with_options(plain_options())
        .as_numpy_iterator()
    )
