"""A layer that sums the weights of the words and word n-grams of a text."""

import keras
from keras import layers, ops

from modelyard.models.checks import check_choice

# Odd 32-bit hash multipliers; int32 products wrap around alike on all backends.
_MULTIPLIERS = (-1640531535, -2048144789)
_SHIFT = 15


@keras.saving.register_keras_serializable(package="modelyard")
class NgramBag(layers.Layer):
    """Sums (or averages) one table row per n-gram of a text.

    A word uses the row of its id. Longer n-grams are hashed into the `buckets` rows
    after those of the words, so some n-grams share a row. Padding (id 0) contributes
    nothing. With `combine="sum"` the rows are those of `scale * table`. Only `table`
    is trained; `scale`, initially 1, sets how fast each n-gram learns.

    Input: int32 `(batch, words)`; output: float32 `(batch, units)`.

    Args:
        vocabulary_size: Number of token ids.
        units: Size of a row.
        ngrams: Words in the longest n-gram, at least 1.
        buckets: Rows that the n-grams of two and more words share.
        unique: Whether an n-gram counts only once per text, however often it occurs.
        combine: `"sum"`, with a trained bias, or `"mean"`, without a bias.
        dropout: Share of a text's n-grams dropped in training, in [0, 1).
        table_regularizer: Regularizer of `table`.
        seed: Seed of the dropout.

    Reference:
        [Wang and Manning, 2012](https://aclanthology.org/P12-2018),
        [Joulin et al., 2016](https://arxiv.org/abs/1607.01759)
    """

    def __init__(
        self,
        vocabulary_size,
        units,
        *,
        ngrams=2,
        buckets=2**20,
        unique=True,
        combine="sum",
        dropout=0.0,
        table_regularizer=None,
        seed=None,
        **kwargs,
    ):
        # Sums of a thousand terms need the precision.
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_choice("combine", combine, ("sum", "mean"))
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.ngrams = ngrams
        self.buckets = buckets
        self.unique = unique
        self.combine = combine
        self.dropout = dropout
        self.table_regularizer = keras.regularizers.get(table_regularizer)
        self.seed = seed
        if dropout > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def num_rows(self) -> int:
        """Number of table rows: one per word, then the buckets."""
        return self.vocabulary_size + (self.buckets if self.ngrams > 1 else 0)

    def build(self, input_shape):
        """Creates the table, and for sums its scale and the bias."""
        shape = (self.num_rows, self.units)
        is_sum = self.combine == "sum"
        self.table = self.add_weight(
            name="table",
            shape=shape,
            initializer="zeros" if is_sum else "random_uniform",
            regularizer=self.table_regularizer,
        )
        if is_sum:
            self.bias = self.add_weight(
                name="bias", shape=(self.units,), initializer="zeros"
            )
            self.scale = self.add_weight(
                name="scale", shape=shape, initializer="ones", trainable=False
            )

    def call(self, tokens, *, training=False):
        """Returns one vector per text."""
        ids = _flatten(self.ngram_ids(tokens))
        if self.unique:
            ids = _without_repeats(ids)
        present = ops.cast(ids > 0, "float32")
        kept = present
        if training and self.dropout > 0:
            kept = keras.random.dropout(present, self.dropout, seed=self.seed_generator)
        total = ops.sum(self._rows(ids) * kept[..., None], axis=1)
        if self.combine == "sum":
            return total + self.bias
        return total / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1)

    def ngram_ids(self, tokens):
        """Returns the table row of every n-gram; see the function `ngram_ids`."""
        return ngram_ids(tokens, self.ngrams, self.vocabulary_size, self.buckets)

    def word_contributions(self, tokens):
        """Returns the contribution of each word to the output.

        The contribution of an n-gram is divided equally among its words and, with
        `unique`, among its occurrences. The contributions of a text, plus the bias
        if `combine="sum"`, add up to the output.

        Args:
            tokens: Int `(batch, words)`, padded with 0 at the end.

        Returns:
            A float32 tensor `(batch, words, units)`, 0 for padding.
        """
        ids = self.ngram_ids(tokens)
        batch, words = ops.shape(ids)[:2]
        flat = _flatten(ids)
        share = ops.cast(flat > 0, "float32")
        if self.unique:
            share = share / _repeats(flat)
        if self.combine == "mean":
            total = ops.sum(share, axis=1, keepdims=True)
            share = share / ops.maximum(total, 1)
        rows = self._rows(flat) * share[..., None]
        rows = ops.reshape(rows, (batch, words, self.ngrams, self.units))
        parts = []
        for n in range(self.ngrams):
            part = rows[:, :, n] / (n + 1)
            parts += [
                ops.pad(part, [[0, 0], [later, 0], [0, 0]])[:, :words]
                for later in range(n + 1)
            ]
        return sum(parts)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (input_shape[0], self.units)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "ngrams": self.ngrams,
            "buckets": self.buckets,
            "unique": self.unique,
            "combine": self.combine,
            "dropout": self.dropout,
            "table_regularizer": keras.regularizers.serialize(self.table_regularizer),
            "seed": self.seed,
        }

    def _rows(self, ids):
        """The table rows of these n-grams."""
        rows = ops.take(self.table, ids, axis=0)
        if self.combine == "sum":
            rows = ops.take(self.scale, ids, axis=0) * rows
        return rows


def ngram_ids(tokens, ngrams, vocabulary_size, buckets):
    """Returns the table row of every n-gram.

    Entry `[i, t, n]` belongs to the `n + 1` words that start at word `t` of text `i`;
    it is 0 where the text ends before. A word has the row of its id; longer n-grams
    are hashed into the rows from `vocabulary_size` on.

    Args:
        tokens: Int `(batch, words)`, padded with 0 at the end.
        ngrams: Words in the longest n-gram, at least 1.
        vocabulary_size: Number of token ids.
        buckets: Rows that the n-grams of two and more words share.

    Returns:
        An int32 tensor `(batch, words, ngrams)`.
    """
    following = hashed = tokens = ops.cast(tokens, "int32")
    ids = [tokens]
    for _ in range(1, ngrams):
        following = ops.pad(following[:, 1:], [[0, 0], [0, 1]])
        hashed = (hashed * _MULTIPLIERS[0] + following) * _MULTIPLIERS[1]
        mixed = ops.bitwise_xor(hashed, ops.right_shift(hashed, _SHIFT))
        row = vocabulary_size + ops.mod(mixed, buckets)
        ids.append(ops.where(following > 0, row, ops.zeros_like(row)))
    return ops.stack(ids, axis=-1)


def _flatten(ids):
    """Reshapes (batch, words, ngrams) to (batch, words * ngrams)."""
    return ops.reshape(ids, (ops.shape(ids)[0], -1))


def _without_repeats(ids):
    """Sorts the ids of each text and sets repeats to 0."""
    ids = ops.sort(ids, axis=-1)
    first, later = ids[:, :1], ids[:, 1:]
    later = ops.where(later == ids[:, :-1], ops.zeros_like(later), later)
    return ops.concatenate([first, later], axis=1)


def _repeats(ids):
    """How often each id occurs in its text, float32, in the shape of `ids`."""
    batch, size = ops.shape(ids)
    order = ops.argsort(ids, axis=-1)
    ordered = ops.take_along_axis(ids, order, axis=-1)
    is_new = ops.cast(ordered[:, 1:] != ordered[:, :-1], "int32")
    group = ops.pad(ops.cumsum(is_new, axis=1), [[0, 0], [1, 0]])
    group = group + (ops.arange(batch, dtype="int32") * size)[:, None]
    counts = ops.segment_sum(
        ops.ones_like(ops.reshape(group, (-1,)), dtype="float32"),
        ops.reshape(group, (-1,)),
        num_segments=batch * size,
    )
    counts = ops.take(counts, group, axis=0)
    return ops.take_along_axis(counts, ops.argsort(order, axis=-1), axis=-1)
