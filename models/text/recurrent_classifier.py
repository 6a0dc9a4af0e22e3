"""Recurrent text classifiers: simple RNN, GRU and LSTM."""

from typing import Literal

import keras
from keras import layers

from modelyard.models.checks import (
    check_choice,
    check_dropout,
    check_integer,
    check_ngrams,
    check_text_task,
)
from modelyard.models.layers.fast_lstm import FastLSTM
from modelyard.models.layers.ngram_embedding import embed_words
from modelyard.models.layers.sequence_layers import SequencePooling

_CELLS = ("simple_rnn", "gru", "lstm")
_POOLINGS = ("last", "max", "mean", "max_mean", "attention")


def build_recurrent_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    cell: Literal["simple_rnn", "gru", "lstm"] = "lstm",
    embedding_dim: int = 64,
    ngrams: int = 1,
    buckets: int = 2**18,
    units: int = 64,
    num_layers: int = 1,
    bidirectional: bool = True,
    pooling: Literal["last", "max", "mean", "max_mean", "attention"] = "max",
    embedding_dropout: float = 0.0,
    dropout: float = 0.0,
    weight_drop: float = 0.0,
    name: str = "recurrent_classifier",
) -> keras.Model:
    """Builds a classifier of word vectors, recurrent layers and pooling over the words.

    Args:
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        num_classes: Number of classes, at least 2.
        cell: `"simple_rnn"`, `"gru"` or `"lstm"`.
        embedding_dim: Size of the word vectors.
        ngrams: Words in the longest n-gram with a vector, 1 to 5. The vectors of the
            n-grams that start at a word are added to its own.
        buckets: Rows that the n-grams of two and more words are hashed into.
        units: Size of the state of each direction.
        num_layers: Number of recurrent layers.
        bidirectional: Whether every layer also reads the text backward.
        pooling: How the outputs of the last layer become one vector: `"last"` (the
            final output of each direction), `"max"`, `"mean"`, `"max_mean"` (both)
            or `"attention"` (a weighted mean).
        embedding_dropout: Share of the dimensions of the word vectors dropped in
            training, the same for all words of a text, in [0, 1).
        dropout: Share dropped in training between recurrent layers and from the
            features, in [0, 1).
        weight_drop: Share of the recurrent kernels dropped in training, in [0, 1);
            LSTM only.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features` has
        `units` units per direction and pooling.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_recurrent_classifier
        >>> model = build_recurrent_classifier(1000, 2, embedding_dim=8, units=4)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])  # The second text has two words.
        >>> model.predict(tokens, verbose=0).shape
        (2, 2)

    Reference:
        [Hochreiter and Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735)
        (LSTM), [Cho et al., 2014](https://arxiv.org/abs/1406.1078) (GRU),
        [Schuster and Paliwal, 1997](https://doi.org/10.1109/78.650093)
        (bidirectional)
    """
    check_text_task(vocabulary_size, num_classes)
    check_choice("cell", cell, _CELLS)
    check_choice("pooling", pooling, _POOLINGS)
    sizes = {"embedding_dim": embedding_dim, "units": units, "num_layers": num_layers}
    for argument, value in sizes.items():
        check_integer(argument, value, minimum=1)
    check_ngrams(ngrams, buckets)
    check_dropout(embedding_dropout, "embedding_dropout")
    check_dropout(dropout)
    check_dropout(weight_drop, "weight_drop")
    if weight_drop > 0 and cell != "lstm":
        raise ValueError(
            '`weight_drop` needs `cell="lstm"`. '
            f"Received: weight_drop={weight_drop}, cell={cell!r}"
        )
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = embed_words(
        tokens,
        vocabulary_size,
        embedding_dim,
        ngrams=ngrams,
        buckets=buckets,
        dropout=embedding_dropout,
    )
    for i in range(num_layers):
        if i > 0 and dropout > 0:
            x = layers.SpatialDropout1D(dropout, name=f"dropout{i}")(x)
        options = {
            "return_sequences": pooling != "last" or i < num_layers - 1,
            "name": f"recurrent{i}",
        }
        if cell == "lstm":
            layer = FastLSTM(
                units, bidirectional=bidirectional, weight_drop=weight_drop, **options
            )
        else:
            layer = _keras_layer(cell, units, bidirectional, **options)
        x = layer(x)
    if pooling == "last":
        x = layers.Identity(name="features")(x)
    else:
        x = SequencePooling(pooling, name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, logits, name=name)


def _keras_layer(cell, units, bidirectional, *, name, return_sequences):
    """A recurrent layer of Keras, in one or both directions."""
    layer_class = layers.GRU if cell == "gru" else layers.SimpleRNN
    if not bidirectional:
        return layer_class(units, return_sequences=return_sequences, name=name)
    layer = layer_class(units, return_sequences=return_sequences)
    return layers.Bidirectional(layer, name=name)
