"""Word vectors, optionally with vectors for word n-grams."""

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.layers.ngram_bag import ngram_ids

_SPREAD = 0.05


@keras.saving.register_keras_serializable(package="modelyard")
class NgramEmbedding(layers.Layer):
    """Embeds each word as the sum of its vector and those of n-grams starting there.

    N-grams of two and more words are hashed into the `buckets` rows after those of
    the words, so some n-grams share a row. Their vectors start at zero, so an n-gram
    that was never seen in training has no effect.

    Input: int32 `(batch, time)`, where 0 is masked; output: `(batch, time, dim)`,
    zeros where masked.

    Args:
        vocabulary_size: Number of token ids.
        dim: Size of the vectors.
        ngrams: Words in the longest n-gram, at least 1.
        buckets: Rows that the n-grams of two and more words share.

    Reference:
        [Joulin et al., 2016](https://arxiv.org/abs/1607.01759) (hashed n-grams),
        [Roy et al., 2022](https://arxiv.org/abs/2207.06366) (added to word vectors)
    """

    def __init__(self, vocabulary_size, dim, *, ngrams=2, buckets=2**18, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.ngrams = ngrams
        self.buckets = buckets

    def build(self, input_shape):
        """Creates one table for all vectors."""
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size + self.buckets, self.dim),
            initializer=self._start,
            autocast=False,  # A cast would copy the whole table to read a few rows.
        )

    def call(self, tokens):
        """Looks up words and n-grams."""
        ids = ngram_ids(tokens, self.ngrams, self.vocabulary_size, self.buckets)
        present = ops.cast(ids > 0, "float32")[..., None]
        vectors = ops.sum(ops.take(self.table, ids, axis=0) * present, axis=2)
        return ops.cast(vectors, self.compute_dtype)

    def compute_mask(self, tokens, mask=None):
        """Returns True for words, False for padding."""
        return ops.not_equal(tokens, 0)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (*input_shape, self.dim)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "ngrams": self.ngrams,
            "buckets": self.buckets,
        }

    def _start(self, shape, dtype=None):
        """Random vectors for words, zeros for n-grams."""
        words = keras.initializers.RandomUniform(-_SPREAD, _SPREAD)(
            (self.vocabulary_size, self.dim), dtype
        )
        return ops.pad(words, [[0, self.buckets], [0, 0]])


def embed_words(
    tokens: keras.KerasTensor,
    vocabulary_size: int,
    dim: int,
    *,
    ngrams: int = 1,
    buckets: int = 2**18,
    dropout: float = 0.0,
) -> keras.KerasTensor:
    """Adds the layer `embedding`, with spatial dropout if `dropout` is above 0.

    Args:
        tokens: int32 `(batch, time)`, where 0 is masked.
        vocabulary_size: Number of token ids.
        dim: Size of the vectors.
        ngrams: Words in the longest n-gram with a vector; 1 means words only.
        buckets: Rows that the longer n-grams are hashed into.
        dropout: Share of the vector dimensions dropped in training, the same for all
            words of a text, in [0, 1).

    Returns:
        Vectors `(batch, time, dim)`.
    """
    if ngrams > 1:
        layer = NgramEmbedding(
            vocabulary_size, dim, ngrams=ngrams, buckets=buckets, name="embedding"
        )
    else:
        layer = layers.Embedding(vocabulary_size, dim, mask_zero=True, name="embedding")
    x = layer(tokens)
    if dropout > 0:
        x = layers.SpatialDropout1D(dropout, name="embedding_dropout")(x)
    return x


def set_word_vectors(model: keras.Model, vectors: np.ndarray) -> None:
    """Replaces the word vectors of a model, for example by pretrained ones.

    Args:
        model: A model with a layer named `embedding`.
        vectors: Float `(vocabulary_size, dim)`, in the order of the token ids. Words
            whose row is all zeros keep their current vectors.

    Raises:
        ValueError: If the model has no such layer, or `vectors` has another shape.
    """
    if "embedding" not in {layer.name for layer in model.layers}:
        raise ValueError(
            "`model` must have a layer named `embedding`. "
            f"Received: model={model.name!r}"
        )
    layer = model.get_layer("embedding")
    (table,) = layer.trainable_variables
    has_ngrams = isinstance(layer, NgramEmbedding)
    size = layer.vocabulary_size if has_ngrams else layer.input_dim
    if vectors.shape != (size, table.shape[1]):
        raise ValueError(
            "`vectors` must have the shape of the model's word vectors, "
            f"{(size, table.shape[1])}. Received: vectors.shape={vectors.shape}"
        )
    rows = ops.convert_to_numpy(table).copy()
    known = vectors.any(axis=1)
    rows[:size][known] = vectors[known]
    table.assign(rows)
