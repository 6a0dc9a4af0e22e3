"""A linear text classifier of words and word n-grams."""

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

# Words per batch when counting n-grams.
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

    Without `embedding_dim`, each n-gram has one weight per class, and the logits are
    the sums of these weights; `set_naive_bayes_scales` speeds up learning. With
    `embedding_dim`, each n-gram has a vector, and a dense layer classifies the mean
    of the vectors, as in fastText.

    The layer `features` has the method `word_contributions`, which returns the exact
    contribution of each word to the features. There is no layer `embedding`, because
    the vectors belong to n-grams, not to words.

    Args:
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        num_classes: Number of classes, at least 2.
        ngrams: Words in the longest n-gram, 1 to 5.
        buckets: Rows that the n-grams of two and more words are hashed into.
        embedding_dim: Size of the vectors, or None for one weight per class.
        unique: Whether an n-gram counts only once per text, however often it occurs.
        dropout: Share of a text's n-grams dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the weights of the n-grams, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features`
        outputs the mean vector or, without `embedding_dim`, the logits.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_ngram_classifier
        >>> model = build_ngram_classifier(1000, 2, buckets=64)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])  # The second text has two words.
        >>> model.predict(tokens, verbose=0).shape
        (2, 2)

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
    """Makes the n-grams that distinguish the classes best learn fastest.

    Scales the weights of each n-gram by its naive Bayes log-count ratios, which
    compare how often the n-gram occurs in the texts of one class and of all others.
    The weights still start at zero: initialised with naive Bayes itself, the model
    fits the training texts so well that little is left to learn.

    Args:
        model: A model from `build_ngram_classifier`, built without `embedding_dim`.
        tokens: Token ids of the training texts: a sequence of int arrays, or an
            object with the flat int array `ids` and the int array `offsets`, where
            text `i` is `ids[offsets[i]:offsets[i + 1]]`.
        labels: Class of each text, int `(n,)`.
        smoothing: Added to each count, above 0.
        strength: Factor of the ratios, above 0. It is small by default because the
            hundreds of n-grams of a text all learn at once.

    Raises:
        ValueError: If `model` is of another kind, or `labels` and `tokens` do not
            match.

    Reference:
        [Wang and Manning, 2012](https://aclanthology.org/P12-2018)
    """
    layer = _find_bag(model)
    if layer.combine != "sum":
        raise ValueError(
            "`model` must be an n-gram classifier built without `embedding_dim`. "
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
            "`labels` must have one label per text and cover all classes 0 to "
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
    # Rows without any n-gram of the training texts have no effect.
    ratios[:, total == 0] = 0
    layer.scale.assign(strength * ratios.T)


def _find_bag(model: keras.Model) -> NgramBag:
    """Finds the layer with the table of n-grams."""
    for layer in model.layers:
        if isinstance(layer, NgramBag):
            return layer
    raise ValueError(
        "`model` must come from `build_ngram_classifier`. "
        f"Received: model={model.name!r}"
    )


def _as_flat(tokens: Any) -> tuple[np.ndarray, np.ndarray]:
    """Converts texts of either form to flat ids and offsets."""
    if hasattr(tokens, "offsets"):
        return np.asarray(tokens.ids), np.asarray(tokens.offsets)
    lengths: Sequence[int] = [len(text) for text in tokens]
    ids = np.concatenate([np.asarray(text, "int32") for text in tokens])
    return ids, np.concatenate([[0], np.cumsum(lengths)])


def _log_share(counts, total, smoothing):
    """Log of the smoothed frequency of each n-gram among those that occur."""
    smoothed = counts + smoothing
    return np.log(smoothed / smoothed[total > 0].sum())


def _count_ngrams(layer, ids, offsets, labels):
    """Counts, per class and table row, the texts with an n-gram of that row."""
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
    """Yields batches of texts of similar length as (text indices, padded tokens)."""
    lengths = np.diff(offsets)
    order = np.argsort(lengths, kind="stable")
    # Rounded up to powers of 2, because jax compiles once per length.
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
