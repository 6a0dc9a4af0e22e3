"""From the settings of a text classifier to its token ids and models."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from modelyard.data.text_loading import TextSplits, load_texts
from modelyard.data.token_pipeline import (
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)
from modelyard.data.tokenizer import (
    TokenLists,
    build_vocabulary,
    encode_texts,
    make_tokenizer,
    truncate_tokens,
)
from modelyard.models import (
    build_ngram_classifier,
    build_recurrent_classifier,
    build_text_cnn,
    build_transformer_classifier,
    set_naive_bayes_scales,
)
from modelyard.pipelines.run_steps import builder_options, compile_classifier
from modelyard.training.precision import dtype_policy, resolve_precision

if TYPE_CHECKING:
    from modelyard.pipelines.classify_text import Config

_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "ngram": build_ngram_classifier,
    "text_cnn": build_text_cnn,
    **{
        cell: functools.partial(build_recurrent_classifier, cell=cell)
        for cell in ("simple_rnn", "gru", "lstm")
    },
    "transformer": build_transformer_classifier,
    "fnet": functools.partial(build_transformer_classifier, mixing="fourier"),
}
_OPTIONS = (
    "ngrams",
    "buckets",
    "embedding_dim",
    "units",
    "num_layers",
    "bidirectional",
    "pooling",
    "dropout",
)


@dataclasses.dataclass(frozen=True)
class Tokens:
    """What the model sees of each split.

    Attributes:
        vocabulary: The words of the training texts; the position is the token id.
        train: Token ids of the training texts.
        validation: Token ids of the validation texts.
        test: Token ids of the test texts.
    """

    vocabulary: list[str]
    train: TokenLists
    validation: TokenLists
    test: TokenLists


def model_options(config: Config) -> dict[str, Any]:
    """Arguments for the builder, from the fields that were given."""
    return builder_options(config, _BUILDERS[config.model], _OPTIONS)


def load_splits(config: Config) -> TextSplits:
    """Returns the examples that the config names."""
    return load_texts(
        config.dataset,
        validation_share=config.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
        drop_test_texts=config.drop_test_texts,
    )


def tokenize(config: Config, splits: TextSplits) -> Tokens:
    """Builds the vocabulary from the training texts and encodes all splits."""
    vocabulary = build_vocabulary(
        splits.train.texts, max_words=config.max_words, min_count=config.min_count
    )
    tokenizer = make_tokenizer(vocabulary)
    return Tokens(
        vocabulary,
        *(
            encode(config, tokenizer, part.texts)
            for part in (splits.train, splits.validation, splits.test)
        ),
    )


def encode(
    config: Config, tokenizer: keras.layers.TextVectorization, texts: np.ndarray
) -> TokenLists:
    """Returns the token ids of texts, as long as the model reads them."""
    tokens = encode_texts(tokenizer, texts)
    return truncate_tokens(tokens, config.max_length, config.truncation)


def compile_model(
    config: Config, splits: TextSplits, tokens: Tokens, options: dict[str, Any]
) -> tuple[keras.Model, int]:
    """The model to train, seeded, and the updates of an epoch."""
    steps = token_steps_per_epoch(tokens.train, **batch_limits(config))
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(resolve_precision(config.precision)):
        model = _build(config, splits, tokens, options)
        if config.naive_bayes:
            set_naive_bayes_scales(model, tokens.train, splits.train.labels)
        compile_classifier(model, config, steps * config.epochs)
    return model, steps


def training_dataset(
    config: Config, splits: TextSplits, tokens: Tokens, finished: int
) -> tf.data.Dataset:
    """Batches of all epochs after the finished ones."""
    return make_token_training_dataset(
        tokens.train,
        splits.train.labels,
        seed=config.seed,
        epochs=config.epochs,
        first_epoch=finished,
        **batch_limits(config),
    )


def validation_dataset(
    config: Config, splits: TextSplits, tokens: Tokens
) -> tf.data.Dataset:
    """The validation examples."""
    return make_token_evaluation_dataset(
        tokens.validation, splits.validation.labels, **batch_limits(config)
    )


def as_float32(
    trained: keras.Model,
    config: Config,
    splits: TextSplits,
    tokens: Tokens,
    options: dict[str, Any],
) -> keras.Model:
    """The trained model for use: float32 throughout, without its optimizer.

    It is what gets measured, saved and served, so all three say the same.
    """
    with dtype_policy("float32"):
        model = _build(config, splits, tokens, options)
    model.set_weights(trained.get_weights())
    return model


def _build(
    config: Config, splits: TextSplits, tokens: Tokens, options: dict[str, Any]
) -> keras.Model:
    """The untrained model."""
    builder = _BUILDERS[config.model]
    return builder(len(tokens.vocabulary), splits.num_classes, **options)


def batch_limits(config: Config) -> dict[str, int]:
    """Returns how many words and texts a batch holds at most."""
    return {"batch_tokens": config.batch_words, "max_batch": config.batch_size}
