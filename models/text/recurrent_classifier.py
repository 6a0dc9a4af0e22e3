"""Classifiers of texts that read word by word."""

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

_CELLS = {
    "simple_rnn": layers.SimpleRNN,
    "gru": layers.GRU,
    "lstm": layers.LSTM,
}
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
    implementation: Literal["fast", "keras"] = "fast",
    name: str = "recurrent_classifier",
) -> keras.Model:
    """Builds word vectors, recurrent layers and a pooling over the words.

    Args:
        vocabulary_size: Number of token ids, padding (0) and the unknown word (1)
            included.
        num_classes: Number of classes, at least 2.
        cell: `"simple_rnn"`, `"gru"` or `"lstm"`.
        embedding_dim: Size of the word vectors.
        ngrams: Words in the longest n-gram with a vector, 1 to 5; those of the n-grams
            that begin at a word are added to its own.
        buckets: Rows that the n-grams of two and more words are hashed into.
        units: Size of the state in each direction.
        num_layers: Number of recurrent layers.
        bidirectional: Whether every layer also reads from the last word to the
            first.
        pooling: What becomes of the outputs of the last layer: `"last"` (the
            output after the last word of each direction), `"max"`, `"mean"`,
            `"max_mean"` (both) or `"attention"` (a weighted mean).
        embedding_dropout: Share of the dimensions of the word vectors dropped in
            training, the same for all words of a text, in [0, 1).
        dropout: Share of the outputs of the layers before the last, and of the
            features, dropped in training, in [0, 1).
        weight_drop: Share of the recurrent kernels dropped in training, in [0, 1);
            needs the fast LSTM.
        implementation: How LSTMs run: `"fast"` with `FastLSTM`, `"keras"` with the
            layers of Keras. The weights are the same.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`. The layer `features` has
        `units` numbers for each direction and pooling.

    Raises:
        ValueError: If an argument is out of range or names nothing known.

    Reference:
        [Hochreiter and Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735)
        (LSTM), [Cho et al., 2014](https://arxiv.org/abs/1406.1078) (GRU),
        [Schuster and Paliwal, 1997](https://doi.org/10.1109/78.650093)
        (bidirectional)
    """
    check_text_task(vocabulary_size, num_classes)
    check_choice("cell", cell, _CELLS)
    check_choice("pooling", pooling, _POOLINGS)
    check_choice("implementation", implementation, ("fast", "keras"))
    sizes = {"embedding_dim": embedding_dim, "units": units, "num_layers": num_layers}
    for argument, value in sizes.items():
        check_integer(argument, value, minimum=1)
    check_ngrams(ngrams, buckets)
    check_dropout(embedding_dropout, "embedding_dropout")
    check_dropout(dropout)
    check_dropout(weight_drop, "weight_drop")
    is_fast = cell == "lstm" and implementation == "fast"
    if weight_drop > 0 and not is_fast:
        raise ValueError(
            '`weight_drop` needs `cell="lstm"` and `implementation="fast"`. Received: '
            f"weight_drop={weight_drop}, cell={cell!r}, "
            f"implementation={implementation!r}"
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
        if is_fast:
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
    """A standard recurrent layer, in one or both directions."""
    if not bidirectional:
        return _CELLS[cell](units, return_sequences=return_sequences, name=name)
    layer = _CELLS[cell](units, return_sequences=return_sequences)
    return layers.Bidirectional(layer, name=name)
