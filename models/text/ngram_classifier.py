"""A classifier of texts by the n-grams that they hold."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.checks import (
    check_dropout,
    check_integer,
    check_l2,
    check_ngrams,
    check_text_task,
)
from modelyard.models.layers.ngram_bag import NgramBag

# Words in the batches that n-grams are counted in.
_BATCH_WORDS = 2**19


def build_ngram_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    ngrams: int = 2,
    buckets: int = 2**20,
    embedding_dim: int | None = None,
    unique: bool = True,
    dropout: float = 0.0,
    l2: float = 0.0,
    name: str = "ngram_classifier",
) -> keras.Model:
    """Builds a linear classifier of words and hashed word n-grams.

    Without `embedding_dim` each n-gram has a weight for each class, and a text gets
    the sum of those of its n-grams; `set_naive_bayes_scales` helps them to learn.
    With it each n-gram has a vector, and a dense layer sees their mean, as
    in fastText.

    There is no layer `embedding`, since the vectors are not of words. What each
    word adds to the logits is had from `word_contributions`, exactly.

    Args:
        vocabulary_size: Number of token ids, padding (0) and the unknown word (1)
            included.
        num_classes: Number of classes, at least 2.
        ngrams: Words in the longest n-gram, 1 to 5.
        buckets: Rows that the n-grams of two and more words are hashed into.
        embedding_dim: Size of the vectors, or None for weights of the classes.
        unique: Whether an n-gram counts once a text, however often it is there.
        dropout: Share of a text's n-grams dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on what is learned about the n-grams, at least
            0.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features` gives
        the mean vector, or, without `embedding_dim`, the logits themselves.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        [Wang and Manning, 2012](https://aclanthology.org/P12-2018),
        [Joulin et al., 2016](https://arxiv.org/abs/1607.01759)
    """
    check_text_task(vocabulary_size, num_classes)
    check_ngrams(ngrams, buckets)
    if embedding_dim is not None:
        check_integer("embedding_dim", embedding_dim, minimum=1)
    check_dropout(dropout)
    check_l2(l2)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = NgramBag(
        vocabulary_size,
        embedding_dim or num_classes,
        ngrams=ngrams,
        buckets=buckets,
        unique=unique,
        combine="mean" if embedding_dim else "sum",
        dropout=dropout,
        table_regularizer=keras.regularizers.L2(l2) if l2 > 0 else None,
        name="features",
    )(tokens)
    if embedding_dim:
        last = layers.Dense(num_classes, dtype="float32", name="logits")
    else:
        last = layers.Identity(dtype="float32", name="logits")
    return keras.Model(tokens, last(x), name=name)


def set_naive_bayes_scales(
    model: keras.Model,
    tokens: Any,
    labels: np.ndarray,
    *,
    smoothing: float = 1.0,
    strength: float = 0.1,
) -> None:
    """Lets the n-grams that naive Bayes finds telling learn the fastest.

    The weights of an n-gram are scaled by its log-count ratios, which compare how
    often it is in the texts of a class and in all others. They start from zero: a
    start from naive Bayes itself explains the training texts so well already that
    little is left to learn from them.

    Args:
        model: A model of `build_ngram_classifier` without `embedding_dim`.
        tokens: Token ids of the training texts: a sequence of int arrays, or an
            object with the flat int array `ids` and the int array `offsets`, where
            text `i` is `ids[offsets[i]:offsets[i + 1]]`.
        labels: Class of each text, int `(n,)`.
        smoothing: What is added to each count, above 0.
        strength: Factor on the ratios, above 0. A text has hundreds of n-grams,
            which all learn at once.

    Raises:
        ValueError: If the model is another one, or labels and texts do not fit.

    Reference:
        [Wang and Manning, 2012](https://aclanthology.org/P12-2018)
    """
    layer = _find_bag(model)
    if layer.combine != "sum":
        raise ValueError(
            "`model` must be an n-gram classifier without `embedding_dim`. "
            f"Received: model={model.name!r}"
        )
    for argument, value in {"smoothing": smoothing, "strength": strength}.items():
        if not value > 0:
            raise ValueError(
                f"`{argument}` must be above 0. Received: {argument}={value}"
            )
    ids, offsets = _as_flat(tokens)
    labels = np.asarray(labels)
    classes = range(layer.units)
    if len(labels) != len(offsets) - 1 or set(np.unique(labels)) != set(classes):
        raise ValueError(
            f"`labels` must have one label a text, of all classes 0 to "
            f"{layer.units - 1}. Received: {len(labels)} labels "
            f"{np.unique(labels).tolist()}, {len(offsets) - 1} texts"
        )
    counts = _count_ngrams(layer, ids, offsets, labels)
    total = counts.sum(0)
    ratios = np.zeros_like(counts)
    for k in classes:
        ratios[k] = _log_share(counts[k], total, smoothing) - _log_share(
            total - counts[k], total, smoothing
        )
    # What was never seen says nothing.
    ratios[:, total == 0] = 0
    layer.scale.assign(strength * ratios.T)


def word_contributions(model: keras.Model, tokens: Any) -> Any:
    """Returns what each word adds to the logits of an n-gram classifier.

    An n-gram's share is divided equally among its words, and, where repeats do not
    count, among the places where it is. The contributions of a text sum to its
    logits, up to the bias that all texts share.

    Args:
        model: A model of `build_ngram_classifier`.
        tokens: int tokens `(batch, words)`, padded at the end with 0.

    Returns:
        A float32 tensor `(batch, words, num_classes)`, 0 for padding.

    Raises:
        ValueError: If the model is another one.
    """
    parts = _find_bag(model).word_contributions(ops.convert_to_tensor(tokens))
    kernel = getattr(model.get_layer("logits"), "kernel", None)
    return parts if kernel is None else ops.matmul(parts, kernel)


def _find_bag(model: keras.Model) -> NgramBag:
    """The layer with the n-grams' table."""
    for layer in model.layers:
        if isinstance(layer, NgramBag):
            return layer
    raise ValueError(
        "`model` must be one of `build_ngram_classifier`. "
        f"Received: model={model.name!r}"
    )


def _as_flat(tokens: Any) -> tuple[np.ndarray, np.ndarray]:
    """Flat ids and offsets of texts in either form."""
    if hasattr(tokens, "offsets"):
        return np.asarray(tokens.ids), np.asarray(tokens.offsets)
    lengths: Sequence[int] = [len(text) for text in tokens]
    ids = np.concatenate([np.asarray(text, "int32") for text in tokens])
    return ids, np.concatenate([[0], np.cumsum(lengths)])


def _log_share(counts, total, smoothing):
    """Logarithm of each count's smoothed share among the n-grams seen at all."""
    smoothed = counts + smoothing
    return np.log(smoothed / smoothed[total > 0].sum())


def _count_ngrams(layer, ids, offsets, labels):
    """In how many texts of each class each row's n-grams are."""
    counts = np.zeros(layer.units * layer.num_rows)
    for chosen, batch in _padded_batches(ids, offsets):
        rows = ops.convert_to_numpy(layer.ngram_ids(ops.convert_to_tensor(batch)))
        rows = np.sort(rows.reshape(len(batch), -1).astype("int64"), axis=-1)
        is_counted = rows > 0
        if layer.unique:
            is_counted[:, 1:] &= rows[:, 1:] != rows[:, :-1]
        rows += labels[chosen, None] * layer.num_rows
        counts += np.bincount(rows[is_counted], minlength=len(counts))
    return counts.reshape(layer.units, layer.num_rows)


def _padded_batches(
    ids: np.ndarray, offsets: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields texts of like lengths as (their numbers, padded tokens)."""
    lengths = np.diff(offsets)
    order = np.argsort(lengths, kind="stable")
    # Lengths are rounded up to a power of 2, since each takes a compilation on jax.
    rounded = 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype(int)
    for width in np.unique(rounded):
        members = order[rounded[order] == width]
        for first in range(0, len(members), max(1, _BATCH_WORDS // width)):
            chosen = members[first : first + max(1, _BATCH_WORDS // width)]
            is_word = np.arange(width) < lengths[chosen, None]
            batch = np.zeros((len(chosen), width), "int32")
            places = offsets[chosen, None] + np.arange(width)
            batch[is_word] = ids[places[is_word]]
            yield chosen, batch
