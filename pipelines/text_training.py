"""From the settings of a text classifier to its token ids and models."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.console import Console

from modelyard.data.texts.loading import TextSplits, load_texts
from modelyard.data.texts.token_lists import join_tokens
from modelyard.data.texts.token_pipeline import (
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)
from modelyard.data.texts.tokenizer import (
    TokenLists,
    build_vocabulary,
    encode_texts,
    load_vocabulary,
    make_tokenizer,
    truncate_tokens,
)
from modelyard.models import (
    build_language_model_classifier,
    build_ngram_classifier,
    build_recurrent_classifier,
    build_text_cnn,
    build_transformer_classifier,
    language_model_sizes,
    set_naive_bayes_scales,
)
from modelyard.pipelines.run_steps import builder_options, compile_classifier
from modelyard.training.checkpoint import Progress
from modelyard.training.fit import fit_resumably
from modelyard.training.precision import dtype_policy, resolve_precision
from modelyard.training.run_folder import RunError

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
LANGUAGE_MODEL_FILE = "language_model.keras"
VOCABULARY_FILE = "vocabulary.json"
SIZES = ("embedding_dim", "units", "num_layers")  # Of a language model.
_OPTIONS = (
    "buckets",
    "embedding_dim",
    "units",
    "num_layers",
    "bidirectional",
    "pooling",
    "embedding_dropout",
    "dropout",
)


@dataclasses.dataclass(frozen=True)
class Tokens:
    """What the model sees of each split.

    Attributes:
        vocabulary: The words of the training and unlabelled texts, or of the
            `pretrained` run; the position is the token id.
        train: Token ids of the training texts.
        validation: Token ids of the validation texts.
        test: Token ids of the test texts.
        unlabelled: Token ids of the texts that a language model reads, that word
            vectors are counted in, or that teachers label.
        lessons: Token ids of what the model is trained on: `train`, and behind it
            `unlabelled` where teachers label that.
    """

    vocabulary: list[str]
    train: TokenLists
    validation: TokenLists
    test: TokenLists
    unlabelled: TokenLists
    lessons: TokenLists


def model_options(config: Config) -> dict[str, Any]:
    """Arguments for the builder, from the fields that were given.

    Raises:
        ValueError: If a field is given that the model does not take.
        RunError: If `pretrained` is not a run with a language model.
    """
    # A language model's classifier reads words alone: `ngrams` is 1 if given.
    names = _OPTIONS if config.has_language_model else ("ngrams", *_OPTIONS)
    options = builder_options(config, _builder(config), names)
    if config.pretrained is None:
        return options
    folder = Path(config.pretrained)
    for name in (LANGUAGE_MODEL_FILE, VOCABULARY_FILE):
        if not (folder / name).exists():
            raise RunError(
                "`pretrained` must be the folder of a run with a language model, as "
                f"`--pretrain-epochs` leaves it. Received: {folder}, without {name}"
            )
    sizes = language_model_sizes(keras.models.load_model(folder / LANGUAGE_MODEL_FILE))
    for name in SIZES:
        if options.setdefault(name, sizes[name]) != sizes[name]:
            raise ValueError(
                f"`{name}` must be that of the language model in `pretrained`, "
                f"{sizes[name]}. Received: {name}={options[name]}"
            )
    return options


def load_splits(config: Config, *, with_unlabelled: bool = True) -> TextSplits:
    """Returns the examples that the config names.

    Args:
        config: Settings.
        with_unlabelled: Whether texts without labels are read too, if the training
            uses them.

    Raises:
        RunError: If Keras runs on a backend that cannot tokenize within `tf.data`.
        ValueError: If there are no texts that teachers could label.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise RunError(
            "Pipelines on texts need the Keras backend tensorflow, which alone takes "
            "a TextVectorization into a graph; the models run on all backends. "
            f"Received: KERAS_BACKEND={backend}"
        )
    splits = load_texts(
        config.dataset,
        validation_share=config.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
        drop_test_texts=config.drop_test_texts,
        with_unlabelled=with_unlabelled
        and (
            config.pretrain_epochs > 0
            or bool(config.teachers)
            or config.word_vectors == "cooccurrence"
        ),
    )
    if with_unlabelled and config.teachers and not len(splits.unlabelled):
        raise ValueError(
            "`teachers` need a data set with unlabelled texts, as imdb_reviews is. "
            f"Received: teachers={', '.join(config.teachers)}, dataset={config.dataset}"
        )
    return splits


def tokenize(config: Config, splits: TextSplits) -> Tokens:
    """Encodes all splits with the vocabulary of what is trained on.

    That is the training and unlabelled texts, or those of the `pretrained` run.
    """
    if config.pretrained is None:
        vocabulary = build_vocabulary(
            np.concatenate([splits.train.texts, splits.unlabelled]),
            max_words=config.max_words,
            min_count=config.min_count,
        )
    else:
        vocabulary = load_vocabulary(Path(config.pretrained) / VOCABULARY_FILE)
    tokenizer = make_tokenizer(vocabulary)
    train, validation, test, unlabelled = (
        encode(config, tokenizer, texts)
        for texts in (
            splits.train.texts,
            splits.validation.texts,
            splits.test.texts,
            splits.unlabelled,
        )
    )
    lessons = join_tokens([train, unlabelled]) if config.teachers else train
    return Tokens(vocabulary, train, validation, test, unlabelled, lessons)


def encode(
    config: Config, tokenizer: keras.layers.TextVectorization, texts: np.ndarray
) -> TokenLists:
    """Returns the token ids of texts, as long as the model reads them."""
    tokens = encode_texts(tokenizer, texts)
    return truncate_tokens(tokens, config.max_length, config.truncation)


def steps_per_epoch(config: Config, tokens: Tokens) -> int:
    """Counts the updates of an epoch."""
    return token_steps_per_epoch(tokens.lessons, **batch_limits(config))


def compile_model(
    config: Config, splits: TextSplits, tokens: Tokens, options: dict[str, Any]
) -> keras.Model:
    """The model to train, seeded."""
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(resolve_precision(config.precision)):
        model = _build(config, splits, tokens, options)
        steps = steps_per_epoch(config, tokens) * config.epochs
        compile_classifier(
            model, config, steps, rate_scales=embedding_scale(config, model)
        )
    return model


def embedding_scale(config: Config, model: keras.Model) -> dict[str, float]:
    """The factor of the learning rate of the word vectors, by path of the variable."""
    if config.embedding_rate_scale == 1:
        return {}
    vectors = model.get_layer("embedding").trainable_variables[0]
    return {vectors.path: config.embedding_rate_scale}


def fit(
    config: Config,
    splits: TextSplits,
    tokens: Tokens,
    labels: np.ndarray,
    model: keras.Model,
    folder: Path,
    console: Console,
    *,
    epochs: int,
    stream: tuple[int, int] | None = None,
    patience: int = 0,
) -> Progress:
    """Trains a compiled model, from its last checkpoint on if there is one.

    Args:
        config: Settings.
        splits: The examples.
        tokens: Their token ids.
        labels: Classes of `tokens.lessons`, int64 `(n,)`.
        model: The model.
        folder: Where its checkpoints are.
        console: Where progress is shown.
        epochs: Epochs of this training.
        stream: Where it begins in how many epochs of batches, if it is a part of a
            longer training.
        patience: Epochs without a lower validation loss that end it; 0 is never.
    """
    if config.naive_bayes:
        set_naive_bayes_scales(model, tokens.lessons, labels)
    first, total = stream or (0, epochs)
    limits = batch_limits(config)
    return fit_resumably(
        model,
        lambda finished: make_token_training_dataset(
            tokens.lessons,
            labels,
            seed=config.seed,
            epochs=total,
            first_epoch=first + finished,
            **limits,
        ),
        make_token_evaluation_dataset(
            tokens.validation, splits.validation.labels, **limits
        ),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch(config, tokens),
        folder=folder,
        patience=patience,
        console=console,
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
    build = _builder(config)
    return build(len(tokens.vocabulary), splits.num_classes, **options)


def _builder(config: Config) -> Callable[..., keras.Model]:
    """The function that builds the model."""
    if config.has_language_model:
        return build_language_model_classifier
    return _BUILDERS[config.model]


def batch_limits(config: Config) -> dict[str, int]:
    """Returns how many words and texts a batch holds at most."""
    return {"batch_tokens": config.batch_words, "max_batch": config.batch_size}
