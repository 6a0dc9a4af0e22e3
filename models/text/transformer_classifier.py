"""Text classifiers with a transformer encoder."""

import math
from typing import Literal

import keras
from keras import layers, ops

from modelyard.models.checks import (
    check_choice,
    check_dropout,
    check_integer,
    check_ngrams,
    check_text_task,
)
from modelyard.models.layers.ngram_embedding import embed_words
from modelyard.models.layers.sequence_layers import SequencePooling, SinusoidalPositions

_EPSILON = 1e-6


def build_transformer_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    mixing: Literal["attention", "fourier"] = "attention",
    embedding_dim: int = 128,
    ngrams: int = 1,
    buckets: int = 2**18,
    num_layers: int = 2,
    num_heads: int = 4,
    hidden_dim: int | None = None,
    pooling: Literal["mean", "max", "max_mean", "attention"] = "mean",
    embedding_dropout: float = 0.0,
    dropout: float = 0.1,
    name: str = "transformer_classifier",
) -> keras.Model:
    """Builds a pre-norm transformer encoder with pooling over the words.

    Each layer mixes the words, with attention or with a Fourier transform that has no
    weights, and then applies two dense layers to each word. Position encodings are
    sinusoidal, so texts of any length are accepted.

    Args:
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        num_classes: Number of classes, at least 2.
        mixing: `"attention"`, or `"fourier"` as in FNet.
        embedding_dim: Size of the vectors; even, and with attention divisible by
            `num_heads`.
        ngrams: Words in the longest n-gram with a vector, 1 to 5. The vectors of the
            n-grams that start at a word are added to its own.
        buckets: Rows that the n-grams of two and more words are hashed into.
        num_layers: Number of layers.
        num_heads: Number of attention heads.
        hidden_dim: Units of the first dense layer; four times `embedding_dim` if
            None.
        pooling: How the vectors of the words become one: `"mean"`, `"max"`,
            `"max_mean"` (both) or `"attention"` (a weighted mean).
        embedding_dropout: Share of the dimensions of the word vectors dropped in
            training, the same for all words of a text, in [0, 1).
        dropout: Share dropped in training from the attention weights, from the
            output of both parts of a layer and from the features, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features` has
        `embedding_dim` units per pooling.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_transformer_classifier
        >>> model = build_transformer_classifier(1000, 2, embedding_dim=8, num_heads=2)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])  # The second text has two words.
        >>> model.predict(tokens, verbose=0).shape
        (2, 2)

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762),
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745) (pre-norm),
        [Lee-Thorp et al., 2021](https://arxiv.org/abs/2105.03824) (FNet)
    """
    check_text_task(vocabulary_size, num_classes)
    check_choice("mixing", mixing, ("attention", "fourier"))
    check_choice("pooling", pooling, ("mean", "max", "max_mean", "attention"))
    sizes = {"embedding_dim": embedding_dim, "num_layers": num_layers}
    for argument, value in {**sizes, "num_heads": num_heads}.items():
        check_integer(argument, value, minimum=1)
    check_ngrams(ngrams, buckets)
    if embedding_dim % 2 or (mixing == "attention" and embedding_dim % num_heads):
        raise ValueError(
            "`embedding_dim` must be even and divisible by `num_heads`. "
            f"Received: embedding_dim={embedding_dim}, num_heads={num_heads}"
        )
    if hidden_dim is not None:
        check_integer("hidden_dim", hidden_dim, minimum=1)
    check_dropout(embedding_dropout, "embedding_dropout")
    check_dropout(dropout)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = embed_words(
        tokens,
        vocabulary_size,
        embedding_dim,
        ngrams=ngrams,
        buckets=buckets,
        dropout=embedding_dropout,
    )
    x = SinusoidalPositions(name="positions")(x)
    for i in range(num_layers):
        x = _encoder_layer(
            x,
            num_heads if mixing == "attention" else 0,
            hidden_dim or 4 * embedding_dim,
            dropout,
            name=f"layer{i}",
        )
    x = layers.LayerNormalization(epsilon=_EPSILON, name="final_norm")(x)
    x = SequencePooling(pooling, name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, logits, name=name)


def _encoder_layer(x, num_heads, hidden_dim, dropout, *, name):
    """Mixes the words, then applies two dense layers to each; both with a residual."""
    dim = x.shape[-1]
    y = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_mixing_norm")(x)
    if num_heads:
        attention = layers.MultiHeadAttention(
            num_heads, dim // num_heads, dropout=dropout, name=f"{name}_attention"
        )
        y = attention(y, y)
    else:
        y = FourierMixing(name=f"{name}_fourier")(y)
    if dropout > 0:
        y = layers.Dropout(dropout, name=f"{name}_mixing_dropout")(y)
    x = layers.Add(name=f"{name}_mixing_add")([x, y])
    y = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_dense_norm")(x)
    y = layers.Dense(hidden_dim, activation="gelu", name=f"{name}_hidden")(y)
    y = layers.Dense(dim, name=f"{name}_dense")(y)
    if dropout > 0:
        y = layers.Dropout(dropout, name=f"{name}_dense_dropout")(y)
    return layers.Add(name=f"{name}_dense_add")([x, y])


@keras.saving.register_keras_serializable(package="modelyard")
class FourierMixing(layers.Layer):
    """The real part of the Fourier transform over words and dimensions.

    Each text is transformed over its own length, so the result does not depend on
    the padding. This takes one matrix product per text, where FNet uses a fast
    Fourier transform over texts of equal length. The result is scaled to the
    magnitude of the input.

    Input and output: `(batch, time, dim)`, with a mask that is false only at the
    end.

    Reference:
        [Lee-Thorp et al., 2021](https://arxiv.org/abs/2105.03824)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        """Mixes the words."""
        batch, time = ops.shape(inputs)[:2]
        dim = inputs.shape[-1]
        if mask is None:
            lengths = ops.full((batch,), time, dtype="int32")
        else:
            lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
            inputs = inputs * ops.cast(mask, inputs.dtype)[..., None]
        over_words = _waves(time, ops.maximum(lengths, 1)[:, None, None], inputs.dtype)
        over_dims = _waves(dim, dim, inputs.dtype)
        cosine, sine = (
            ops.matmul(words, ops.matmul(inputs, dims))
            for words, dims in zip(over_words, over_dims, strict=True)
        )
        return cosine - sine

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return input_shape


def _waves(size, period, dtype):
    """Cosines and sines of a unitary Fourier transform over `period` points."""
    places = ops.arange(size, dtype="int32")
    # Reduced as integers, which are exact, before the product with 2 pi.
    turns = ops.mod(places[:, None] * places, period)
    length = ops.cast(ops.convert_to_tensor(period), "float32")
    angles = ops.cast(turns, "float32") * (2 * math.pi / length)
    scale = ops.rsqrt(length)
    return (
        ops.cast(ops.cos(angles) * scale, dtype),
        ops.cast(ops.sin(angles) * scale, dtype),
    )
