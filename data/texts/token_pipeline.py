"""Fast `tf.data` input pipelines for token ids that fit in memory.

Batches hold texts of similar length and about the same number of ids. The order is a
pure function of the seed and the epoch, so a run resumed at any epoch gets exactly the
batches of an uninterrupted run.
"""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from modelyard.data.stream import check_stream, plain_options
from modelyard.data.texts.token_lists import PADDING, TokenLists

_WORKERS = os.cpu_count() or 1
_PREFETCHED = 4  # Batches.
_STEP = 32  # Smallest difference between two padded lengths.


class _Batches(NamedTuple):
    """Start, size and padded length of each batch of the texts sorted by length."""

    starts: np.ndarray
    sizes: np.ndarray
    columns: np.ndarray


def token_steps_per_epoch(
    tokens: TokenLists, *, batch_tokens: int, max_batch: int
) -> int:
    """Returns the number of batches of one training epoch.

    Args:
        tokens: The training texts.
        batch_tokens: As for `make_token_training_dataset`.
        max_batch: As for `make_token_training_dataset`.

    Returns:
        Number of steps, the same in every epoch, at least 1.

    Raises:
        ValueError: If an argument is out of range.
    """
    return len(_cut_batches(tokens, batch_tokens, max_batch).starts)


def make_token_training_dataset(
    tokens: TokenLists,
    labels: np.ndarray,
    *,
    batch_tokens: int,
    max_batch: int,
    seed: int,
    epochs: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Makes one stream of shuffled batches for all epochs.

    Every epoch has each example once. Batches are padded to one of a few lengths,
    which adds at most a quarter of the length of a text, or 31 columns. The
    composition and the order of the batches change from epoch to epoch.

    Args:
        tokens: Token ids of `n` texts, none of them empty.
        labels: int64 `(n,)`.
        batch_tokens: Maximum number of ids in a batch, including padding, at least 1.
            A longer text forms a batch by itself.
        max_batch: Maximum number of texts in a batch, at least 1.
        seed: Seed of the order, in [0, 2**31).
        epochs: Epochs of the whole run.
        first_epoch: Epoch to start at, in [0, epochs), for resumed runs.

    Returns:
        A dataset of `(tokens, labels)`: int32 `(batch, t)`, padded with 0 at the
        end, and int64 `(batch,)`.

    Raises:
        ValueError: If the arrays disagree or an argument is out of range.
    """
    batches = _cut_batches(tokens, batch_tokens, max_batch)
    check_stream(seed, epochs, first_epoch)
    make_batch = _batch_maker(tokens, labels)
    bucket = np.searchsorted(_bucket_columns(tokens.lengths), tokens.lengths)
    with tf.device("CPU"):
        bucket = tf.convert_to_tensor(bucket, tf.int32)

    def shuffle(values, stream, epoch):
        return tf.random.experimental.stateless_shuffle(
            values,
            # Even for texts and odd for batches, so the random streams differ.
            seed=tf.stack([tf.constant(seed, tf.int64), 2 * epoch + stream]),
            alg="philox",
        )

    def epoch_batches(epoch):
        order = shuffle(tf.range(len(tokens)), 0, epoch)
        # The sort is stable, so the order within a bucket stays random.
        order = tf.gather(order, tf.argsort(tf.gather(bucket, order), stable=True))
        steps = shuffle(tf.range(len(batches.starts)), 1, epoch)
        return tf.data.Dataset.from_tensor_slices(
            tuple(tf.gather(values, steps) for values in batches)
        ).map(lambda start, size, columns: (order[start : start + size], columns))

    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(epoch_batches)
        .map(make_batch, num_parallel_calls=_WORKERS, deterministic=True)
        .prefetch(_PREFETCHED)
        .with_options(plain_options())
    )


def make_token_evaluation_dataset(
    tokens: TokenLists, labels: np.ndarray, *, batch_tokens: int, max_batch: int
) -> tf.data.Dataset:
    """Makes batches of all examples, from the shortest to the longest.

    Args:
        tokens: Token ids of `n` texts, none of them empty.
        labels: int64 `(n,)`.
        batch_tokens: As for `make_token_training_dataset`.
        max_batch: As for `make_token_training_dataset`.

    Returns:
        A dataset of `(tokens, labels)` like that for training, in the order of
        `evaluation_order(tokens)`.

    Raises:
        ValueError: If the arrays disagree or an argument is out of range.
    """
    batches = _cut_batches(tokens, batch_tokens, max_batch)
    make_batch = _batch_maker(tokens, labels)
    with tf.device("CPU"):
        order = tf.convert_to_tensor(evaluation_order(tokens), tf.int32)
    return (
        tf.data.Dataset.from_tensor_slices(tuple(batches))
        .map(
            lambda start, size, columns: make_batch(
                order[start : start + size], columns
            ),
            num_parallel_calls=_WORKERS,
            deterministic=True,
        )
        .prefetch(_PREFETCHED)
        .with_options(plain_options())
    )


def evaluation_order(tokens: TokenLists) -> np.ndarray:
    """Returns the order of the texts in `make_token_evaluation_dataset`.

    Args:
        tokens: The texts.

    Returns:
        int64 `(n,)`, indices into `tokens`; see `in_original_order`.
    """
    return np.argsort(tokens.lengths, kind="stable")


def in_original_order(values: np.ndarray, tokens: TokenLists) -> np.ndarray:
    """Restores the original order after `make_token_evaluation_dataset`.

    Args:
        values: Predictions for that dataset, `(n, ...)`.
        tokens: The texts.

    Returns:
        The values in the order of `tokens`.
    """
    restored = np.empty_like(values)
    restored[evaluation_order(tokens)] = values
    return restored


def _cut_batches(tokens: TokenLists, batch_tokens: int, max_batch: int) -> _Batches:
    """Divides the texts, sorted by length, into batches within the limits."""
    for argument, value in (("batch_tokens", batch_tokens), ("max_batch", max_batch)):
        if value < 1:
            raise ValueError(
                f"`{argument}` must be at least 1. Received: {argument}={value}"
            )
    if not len(tokens) or not tokens.lengths.min():
        raise ValueError(
            "`tokens` must have texts, each with at least one id. Received: "
            f"{len(tokens)} texts, {(tokens.lengths == 0).sum()} of them empty"
        )
    columns = _bucket_columns(tokens.lengths)
    counts = np.bincount(np.searchsorted(columns, tokens.lengths))
    sizes, widths = [], []
    for count, width in zip(counts, columns, strict=True):
        if not count:
            continue
        number = -(-count // max(1, min(max_batch, batch_tokens // width)))
        # Even sizes, because full batches would leave a small, noisy last one.
        shorter, longer = count // number, count % number
        sizes += [shorter + 1] * longer + [shorter] * (number - longer)
        widths += [width] * number
    starts = np.cumsum([0, *sizes[:-1]])
    return _Batches(*(np.array(v, np.int32) for v in (starts, sizes, widths)))


def _bucket_columns(lengths):
    """Returns the padded lengths in ascending order."""
    longest = int(lengths.max())
    columns, width = [], _STEP
    while width < longest:
        columns.append(width)
        # Four steps per doubling.
        width += max(_STEP, 2 ** (width.bit_length() - 3))
    return np.array([*columns, min(width, -(-longest // 8) * 8)])


def _batch_maker(tokens, labels):
    """Returns a function that makes a padded batch of the texts at given indices."""
    if labels.dtype != np.int64 or labels.shape != (len(tokens),):
        raise ValueError(
            f"`labels` must be int64 ({len(tokens)},), one for each text. "
            f"Received: labels of {labels.dtype} {labels.shape}"
        )
    with tf.device("CPU"):  # The default would be the GPU, if there is one.
        ids = tf.convert_to_tensor(np.append(tokens.ids, np.int32(PADDING)))
        held_labels = tf.convert_to_tensor(labels)
        starts = tf.convert_to_tensor(tokens.offsets[:-1])
        lengths = tf.convert_to_tensor(tokens.lengths)

    def make_batch(indices, columns):
        positions = tf.range(tf.cast(columns, tf.int64))[tf.newaxis]
        sources = tf.where(
            positions < tf.gather(lengths, indices)[:, tf.newaxis],
            tf.gather(starts, indices)[:, tf.newaxis] + positions,
            tf.size(ids, tf.int64) - 1,  # Padding.
        )
        return tf.gather(ids, sources), tf.gather(held_labels, indices)

    return make_batch
