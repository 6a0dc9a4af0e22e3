"""A convolutional text classifier."""

from collections.abc import Sequence

import keras
from keras import layers

from modelyard.models.checks import (
    check_dropout,
    check_integer,
    check_sizes,
    check_text_task,
    kernel_options,
)
from modelyard.models.layers.activations import get_activation
from modelyard.models.layers.ngram_embedding import embed_words
from modelyard.models.layers.sequence_layers import MaskedConv1D, SequencePooling


def build_text_cnn(
    vocabulary_size: int,
    num_classes: int,
    *,
    embedding_dim: int = 128,
    filters: int = 128,
    widths: Sequence[int] = (3, 4, 5),
    activation: str = "relu",
    initializer: str = "he_normal",
    embedding_dropout: float = 0.0,
    dropout: float = 0.5,
    l2: float = 0.0,
    name: str = "text_cnn",
) -> keras.Model:
    """Builds parallel convolutions of several widths, each max-pooled over time.

    Args:
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        num_classes: Number of classes, at least 2.
        embedding_dim: Size of the word vectors.
        filters: Filters of each width.
        widths: Filter widths in words, one convolution per width.
        activation: Activation of the convolutions, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        embedding_dropout: Share of the dimensions of the word vectors dropped in
            training, the same for all words of a text, in [0, 1).
        dropout: Share of the features dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the kernels, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features` has
        `filters` units for each width.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_text_cnn
        >>> model = build_text_cnn(1000, 2, embedding_dim=8, filters=4)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])  # The second text has two words.
        >>> model.predict(tokens, verbose=0).shape
        (2, 2)

    Reference:
        [Kim, 2014](https://arxiv.org/abs/1408.5882)
    """
    check_text_task(vocabulary_size, num_classes)
    check_integer("embedding_dim", embedding_dim, minimum=1)
    check_integer("filters", filters, minimum=1)
    check_sizes("widths", widths)
    check_dropout(embedding_dropout, "embedding_dropout")
    check_dropout(dropout)
    activate = get_activation(activation)
    kernel = kernel_options(initializer, l2)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = embed_words(tokens, vocabulary_size, embedding_dim, dropout=embedding_dropout)
    maxima = []
    for i, width in enumerate(widths):
        conv = MaskedConv1D(
            filters,
            width,
            padding="same",
            activation=activate,
            name=f"conv{i}",
            **kernel,
        )
        maxima.append(SequencePooling("max", name=f"pool{i}")(conv(x)))
    if len(maxima) > 1:
        x = layers.Concatenate(name="features")(maxima)
    else:
        x = layers.Identity(name="features")(maxima[0])
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(tokens, logits, name=name)
