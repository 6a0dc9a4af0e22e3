"""Recurrent language models, and text classifiers that start from their weights."""

from typing import Literal

import keras
from keras import layers

from modelyard.models.checks import check_dropout, check_integer, check_text_task
from modelyard.models.layers.fast_lstm import FastLSTM
from modelyard.models.layers.sequence_layers import SequencePooling
from modelyard.models.layers.word_embedding import NextWordLoss, WordEmbedding


def build_recurrent_language_model(
    vocabulary_size: int,
    *,
    embedding_dim: int = 256,
    units: int = 512,
    num_layers: int = 2,
    word_dropout: float = 0.05,
    embedding_dropout: float = 0.2,
    dropout: float = 0.2,
    weight_drop: float = 0.2,
    name: str = "recurrent_language_model",
) -> keras.Model:
    """Builds an LSTM that predicts each next word from the words before it.

    The word vectors are also the weights of the output layer.

    Args:
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        embedding_dim: Size of the word vectors and of the state of the last layer.
        units: Size of the state of the other layers.
        num_layers: Number of recurrent layers.
        word_dropout: Share of the vocabulary whose vectors are dropped in a training
            batch, in [0, 1).
        embedding_dropout: Share of the dimensions of the word vectors dropped in
            training, the same for all words of a text, in [0, 1).
        dropout: The same for the outputs of each recurrent layer.
        weight_drop: Share of the recurrent kernels dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, words, vocabulary_size)` of each next
        word. To train it, use `build_next_word_trainer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_recurrent_language_model
        >>> model = build_recurrent_language_model(1000, embedding_dim=8, units=4)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])
        >>> model.predict(tokens, verbose=0).shape
        (2, 3, 1000)

    Reference:
        [Merity et al., 2018](https://arxiv.org/abs/1708.02182)
    """
    check_text_task(vocabulary_size, vocabulary_size)
    tokens, x, embedding = _encode(
        vocabulary_size,
        (embedding_dim, units, num_layers),
        "tied",
        word_dropout=word_dropout,
        embedding_dropout=embedding_dropout,
        dropout=dropout,
        weight_drop=weight_drop,
    )
    x = layers.Identity(name="states")(x)
    x = embedding(x, reverse=True)
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(tokens, logits, name=name)


def build_next_word_trainer(
    model: keras.Model, *, num_sampled: int | None = None, name: str = "trainer"
) -> keras.Model:
    """Builds a model that trains a language model and shares its weights.

    It adds its own loss: compile it with only an optimizer, and fit it on batches of
    tokens. With `num_sampled`, training uses a sampled softmax and never computes
    the logits of the whole vocabulary; on a CPU, vocabularies of more than a few
    thousand words need this.

    Args:
        model: A model from `build_recurrent_language_model`.
        num_sampled: Words drawn per training batch for the sampled softmax, at least
            1, or None for the full softmax.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)` to the mean
        cross-entropy of the next words, float32 `(1,)`.

    Raises:
        ValueError: If `model` is of another kind or `num_sampled` is below 1.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_next_word_trainer
        >>> from modelyard.models import build_recurrent_language_model
        >>> model = build_recurrent_language_model(50, embedding_dim=4, num_layers=1)
        >>> trainer = build_next_word_trainer(model, num_sampled=10)
        >>> trainer.compile("adam")
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])
        >>> history = trainer.fit(tokens, verbose=0)  # Trains `model`.
    """
    if num_sampled is not None:
        check_integer("num_sampled", num_sampled, minimum=1)
    if not {"embedding", "states"} <= {layer.name for layer in model.layers}:
        raise ValueError(
            "`model` must come from `build_recurrent_language_model`. "
            f"Received: model={model.name!r}"
        )
    loss = NextWordLoss(
        model.get_layer("embedding"), num_sampled=num_sampled, name="next_word_loss"
    )
    states = model.get_layer("states").output
    return keras.Model(model.input, loss([states, model.input]), name=name)


def build_language_model_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    embedding_dim: int = 256,
    units: int = 512,
    num_layers: int = 2,
    hidden_units: int = 50,
    pooling: Literal[
        "last", "max", "mean", "max_mean", "attention", "last_max_mean"
    ] = "last_max_mean",
    word_dropout: float = 0.05,
    embedding_dropout: float = 0.2,
    dropout: float = 0.2,
    weight_drop: float = 0.2,
    name: str = "language_model_classifier",
) -> keras.Model:
    """Builds a text classifier with the layers of a language model.

    The states of the last recurrent layer are pooled and go through a hidden layer.
    `copy_encoder_weights` copies the weights of a trained language model, and
    `unfreezing_groups` gives the order in which to unfreeze the layers.

    Args:
        vocabulary_size: As in `build_recurrent_language_model`.
        num_classes: Number of classes, at least 2.
        embedding_dim: As in `build_recurrent_language_model`.
        units: As in `build_recurrent_language_model`.
        num_layers: As in `build_recurrent_language_model`.
        hidden_units: Units of the hidden layer, which is named `features`.
        pooling: How the states become one vector, a mode of `SequencePooling`. The
            default concatenates the last state, the maximum and the mean.
        word_dropout: As in `build_recurrent_language_model`.
        embedding_dropout: As in `build_recurrent_language_model`.
        dropout: As in `build_recurrent_language_model`; also applied before both
            dense layers.
        weight_drop: As in `build_recurrent_language_model`.
        name: Model name.

    Returns:
        An uncompiled model from int32 tokens `(batch, words)`, padded at the end
        with 0, to float32 logits `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_language_model_classifier
        >>> model = build_language_model_classifier(1000, 2, embedding_dim=8, units=4)
        >>> tokens = np.array([[5, 2, 9], [7, 4, 0]])
        >>> model.predict(tokens, verbose=0).shape
        (2, 2)

    Reference:
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146)
    """
    check_text_task(vocabulary_size, num_classes)
    check_integer("hidden_units", hidden_units, minimum=1)
    tokens, x, _ = _encode(
        vocabulary_size,
        (embedding_dim, units, num_layers),
        None,
        word_dropout=word_dropout,
        embedding_dropout=embedding_dropout,
        dropout=dropout,
        weight_drop=weight_drop,
    )
    x = SequencePooling(pooling, name="pool")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="hidden_dropout")(x)
    x = layers.Dense(hidden_units, activation="relu", name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(tokens, logits, name=name)


def copy_encoder_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies the word vectors and recurrent layers of one model to another.

    Args:
        source: A model from `build_recurrent_language_model` or
            `build_language_model_classifier`.
        target: A model from either builder, of the same sizes.

    Raises:
        ValueError: If `source` lacks a layer of `target` or has another size.
    """
    known = {layer.name: layer for layer in source.layers}
    for layer in _encoder_layers(target):
        weights = known[layer.name].weights if layer.name in known else ()
        values = {weight.name: weight for weight in weights}
        for weight in layer.weights:
            if weight.name.startswith("output_"):
                continue  # The decoder is not part of the encoder.
            value = values.get(weight.name)
            found = None if value is None else value.shape
            if found != weight.shape:
                raise ValueError(
                    "`source` must have the layers and sizes of `target`. "
                    f"Received: {layer.name} with {weight.name} {found} in "
                    f"{source.name!r}, {weight.shape} in {target.name!r}"
                )
            weight.assign(value)


def language_model_sizes(model: keras.Model) -> dict[str, int]:
    """Returns the sizes that a model was built with.

    Args:
        model: A model from `build_recurrent_language_model` or
            `build_language_model_classifier`.

    Returns:
        `embedding_dim`, `units` and `num_layers`.
    """
    recurrent = _encoder_layers(model)[1:]
    return {
        "embedding_dim": recurrent[-1].units,
        "units": recurrent[0].units,
        "num_layers": len(recurrent),
    }


def unfreezing_groups(model: keras.Model) -> list[list[str]]:
    """Returns the layers to unfreeze together, from the top of the model down.

    Args:
        model: A model from `build_language_model_classifier`.

    Returns:
        Groups of layer names that cover all weights: first the dense layers, then
        each recurrent layer, last the embedding.
    """
    below = [[layer.name] for layer in reversed(_encoder_layers(model))]
    return [["features", "logits"], *below]


def _encoder_layers(model):
    """Lists the embedding and the recurrent layers, bottom up."""
    return [
        layer for layer in model.layers if isinstance(layer, (WordEmbedding, FastLSTM))
    ]


def _encode(vocabulary_size, sizes, decoder, *, weight_drop, **dropouts):
    """Returns the input, the states of the last recurrent layer and the embedding."""
    embedding_dim, units, num_layers = sizes
    names = ("embedding_dim", "units", "num_layers")
    for argument, value in zip(names, sizes, strict=True):
        check_integer(argument, value, minimum=1)
    for argument, value in {**dropouts, "weight_drop": weight_drop}.items():
        check_dropout(value, argument)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedding = WordEmbedding(
        vocabulary_size,
        embedding_dim,
        word_dropout=dropouts["word_dropout"],
        decoder=decoder,
        name="embedding",
    )
    x = embedding(tokens)
    if dropouts["embedding_dropout"] > 0:
        rate = dropouts["embedding_dropout"]
        x = layers.SpatialDropout1D(rate, name="embedding_dropout")(x)
    for i in range(num_layers):
        x = FastLSTM(
            embedding_dim if i == num_layers - 1 else units,
            return_sequences=True,
            weight_drop=weight_drop,
            name=f"recurrent{i}",
        )(x)
        if dropouts["dropout"] > 0:
            name = f"recurrent{i}_dropout"
            x = layers.SpatialDropout1D(dropouts["dropout"], name=name)(x)
    return tokens, x, embedding
