"""From settings to the token ids and models of `classify-text`."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from modelyard.data.settings import flatten_settings, make_config
from modelyard.data.texts.loading import TextSplits, load_texts
from modelyard.data.texts.token_lists import join_tokens
from modelyard.data.texts.token_pipeline import (
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)
from modelyard.evaluation.classification import classification_metrics, roc_auc
from modelyard.models import (
    build_language_model_classifier,
    build_ngram_classifier,
    build_recurrent_classifier,
    build_text_cnn,
    build_transformer_classifier,
    copy_encoder_weights,
    language_model_sizes,
    set_naive_bayes_scales,
    unfreezing_groups,
)
from modelyard.pipelines.classify_text.config import (
    RECIPES,
    Config,
    Network,
)
from modelyard.pipelines.common.classification import (
    builder_options,
    compile_classifier,
)
from modelyard.pipelines.common.language_model import (
    LANGUAGE_MODEL_FILE,
    SIZES,
    VOCABULARY_FILE,
    obtain_language_model,
)
from modelyard.pipelines.common.recipes import recipe_values
from modelyard.pipelines.common.text_settings import PretrainingSettings
from modelyard.pipelines.common.texts import (
    Tokens,
    batch_limits,
    predict_scores,
    tokenize,
)
from modelyard.pipelines.common.word_vectors import start_from_cooccurrence
from modelyard.training.checkpoint import Progress
from modelyard.training.precision import dtype_policy, resolve_precision
from modelyard.training.run import Run
from modelyard.training.run_folder import RunError
from modelyard.training.self_training import label_unlabelled
from modelyard.training.unfreezing import Stage, fine_tune_in_stages

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
    "buckets",
    "embedding_dim",
    "units",
    "num_layers",
    "bidirectional",
    "pooling",
    "embedding_dropout",
    "dropout",
)
_SHARED = (  # What teachers have in common with the model that learns from them.
    "dataset",
    "seed",
    "validation_share",
    "max_train_examples",
    "drop_test_texts",
    "precision",
    "xla",
)


def model_options(
    model: str, network: Network, pretraining: PretrainingSettings
) -> dict[str, Any]:
    """Returns the arguments for the builder, from the settings that were given.

    Raises:
        ValueError: If a setting is given that the model does not take.
        RunError: If `pretrained` is not a run with a language model.
    """
    # A language model's classifier reads words alone: `ngrams` is 1 if given.
    names = _OPTIONS if pretraining.has_language_model else ("ngrams", *_OPTIONS)
    builder = _builder(model, pretraining)
    options = builder_options(model, builder, network, names)
    if pretraining.pretrained is None:
        return options
    folder = Path(pretraining.pretrained)
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
            "Text pipelines need the Keras backend tensorflow, because only there a "
            "TextVectorization layer works in a graph. The models run on all backends. "
            f"Received: KERAS_BACKEND={backend}"
        )
    teachers = config.pretraining.teachers
    splits = load_texts(
        config.dataset,
        validation_share=config.data.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
        drop_test_texts=config.data.drop_test_texts,
        with_unlabelled=with_unlabelled and config.pretraining.uses_unlabelled,
    )
    if with_unlabelled and teachers and not len(splits.unlabelled):
        raise ValueError(
            "`teachers` need a data set with unlabelled texts, such as imdb_reviews. "
            f"Received: teachers={', '.join(teachers)}, dataset={config.dataset}"
        )
    return splits


def compile_model(
    config: Config, splits: TextSplits, tokens: Tokens, options: dict[str, Any]
) -> keras.Model:
    """Returns the model to train, seeded."""
    keras.utils.set_random_seed(config.seed)
    scale = config.optimization.embedding_rate_scale
    with dtype_policy(resolve_precision(config.training.precision)):
        model = _build(config.model, config.pretraining, splits, tokens, options)
        _compile(model, config, tokens, config.epochs, _embedding_scale(model, scale))
    return model


def train(
    run: Run,
    config: Config,
    splits: TextSplits,
    tokens: Tokens,
    model: keras.Model,
    options: dict[str, Any],
) -> tuple[Progress, dict[str, Any]]:
    """Trains a model, after any word vectors, teachers and language model.

    Returns:
        The history, and facts about `word_vectors`, `teachers` and `language_model`,
        each if it was used.
    """
    facts: dict[str, Any] = {}
    labels = splits.train.labels
    if config.pretraining.word_vectors == "cooccurrence":
        facts["word_vectors"] = _set_word_vectors(run, tokens, model, config.seed)
    if config.pretraining.teachers:
        taught, facts["teachers"] = label_unlabelled(
            run,
            config.pretraining.teachers,
            functools.partial(_teach, run, config, splits),
            rounds=config.pretraining.teacher_rounds,
            train_labels=labels,
            validation_labels=splits.validation.labels,
            class_names=splits.class_names,
        )
        run.say(
            f"{config.model}: {len(labels):,} texts and {len(taught):,} by teachers"
        )
        labels = np.concatenate([labels, taught])
    if not config.pretraining.has_language_model:
        progress = _fit(
            run,
            config,
            splits,
            tokens,
            labels,
            model,
            epochs=config.epochs,
            patience=config.training.early_stopping,
        )
        return progress, facts
    language_model, facts["language_model"] = _obtain_language_model(
        run, config, tokens, options
    )
    copy_encoder_weights(language_model, model)
    groups = unfreezing_groups(model)
    scales = _group_scales(
        model,
        groups,
        decay=config.pretraining.rate_decay,
        embedding_scale=config.optimization.embedding_rate_scale,
    )

    def fit_stage(stage: Stage) -> Progress:
        _compile(model, config, tokens, stage.epochs, scales)
        return _fit(
            run,
            config,
            splits,
            tokens,
            labels,
            model,
            epochs=stage.epochs,
            stream=(stage.first_epoch, stage.total_epochs),
            patience=config.training.early_stopping if stage.is_last else 0,
            part=stage.part,
        )

    progress = fine_tune_in_stages(
        run,
        model,
        groups,
        unfreezing=config.pretraining.unfreezing,
        epochs=config.epochs,
        fit=fit_stage,
    )
    return progress, facts


def as_float32(
    trained: keras.Model,
    name: str,
    pretraining: PretrainingSettings,
    splits: TextSplits,
    tokens: Tokens,
    options: dict[str, Any],
) -> keras.Model:
    """Returns the trained model in float32, without its optimizer.

    Evaluation, saving and serving all use this model, so their results agree.
    """
    with dtype_policy("float32"):
        model = _build(name, pretraining, splits, tokens, options)
    model.set_weights(trained.get_weights())
    return model


def measure(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Returns the metrics of scores, with the area under the ROC curve."""
    return {
        **classification_metrics(scores, labels),
        "roc_auc": roc_auc(scores, labels),
    }


def teacher_config(config: Config, model: str) -> Config:
    """Returns the settings of a teacher: its recipe `fast`, on the same examples.

    Networks also start from the same kind of word vectors.
    """
    settings = flatten_settings(config)
    shared = {name: settings[name] for name in _SHARED}
    if model != "ngram":
        shared["word_vectors"] = settings["word_vectors"]
    values = recipe_values(RECIPES, "fast", config.dataset.partition("?")[0], model)
    return make_config(Config, values | shared | {"model": model})


def _teach(
    run: Run,
    config: Config,
    splits: TextSplits,
    model: str,
    labels: np.ndarray,
    part: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Trains a teacher; returns its scores of the validation and unlabelled texts.

    Labels are those of the training texts and, if there are more, the unlabelled.
    """
    config = teacher_config(config, model)
    options = model_options(config.model, config.network, config.pretraining)
    tokens = tokenize(splits, config.data, config.pretraining)
    if len(labels) > len(tokens.train):
        lessons = join_tokens([tokens.train, tokens.unlabelled])
        tokens = dataclasses.replace(tokens, lessons=lessons)
    teacher = compile_model(config, splits, tokens, options)
    if config.pretraining.word_vectors == "cooccurrence":
        _set_word_vectors(run, tokens, teacher, config.seed, part=part)
    _fit(
        run,
        config,
        splits,
        tokens,
        labels,
        teacher,
        epochs=config.epochs,
        patience=config.training.early_stopping,
        part=part,
    )
    teacher = as_float32(
        teacher, config.model, config.pretraining, splits, tokens, options
    )
    limits = batch_limits(config.training.batch_words, config.batch_size)
    return (
        predict_scores(teacher, tokens.validation, limits),
        predict_scores(teacher, tokens.unlabelled, limits),
    )


def _fit(
    run: Run,
    config: Config,
    splits: TextSplits,
    tokens: Tokens,
    labels: np.ndarray,
    model: keras.Model,
    *,
    epochs: int,
    stream: tuple[int, int] | None = None,
    patience: int = 0,
    part: str = "",
) -> Progress:
    """Trains a compiled model, from its last checkpoint on if there is one.

    Args:
        run: The run.
        config: Settings.
        splits: The examples.
        tokens: Their token ids.
        labels: Classes of `tokens.lessons`, int64 `(n,)`.
        model: The model.
        epochs: Epochs of this training.
        stream: The first epoch and the number of epochs of a longer training, if this
            is a part of one.
        patience: Epochs without a lower validation loss before stopping; 0 disables it.
        part: Subfolder of the run for its checkpoints.
    """
    if config.training.naive_bayes:
        set_naive_bayes_scales(model, tokens.lessons, labels)
    first, total = stream or (0, epochs)
    limits = batch_limits(config.training.batch_words, config.batch_size)
    return run.fit(
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
        steps_per_epoch=token_steps_per_epoch(tokens.lessons, **limits),
        patience=patience,
        part=part,
    )


def _set_word_vectors(
    run: Run, tokens: Tokens, model: keras.Model, seed: int, part: str = ""
) -> dict[str, Any]:
    """Initialises the word vectors from all texts but validation and test."""
    return start_from_cooccurrence(
        model,
        join_tokens([tokens.train, tokens.unlabelled]),
        tokens.vocabulary,
        seed=seed,
        folder=run.folder / part,
        console=run.console,
    )


def _obtain_language_model(
    run: Run, config: Config, tokens: Tokens, options: dict[str, Any]
) -> tuple[keras.Model, dict[str, Any]]:
    """The language model that the classifier starts from, and facts about it."""
    pretraining = config.pretraining
    source = pretraining.pretrained
    return obtain_language_model(
        run,
        join_tokens([tokens.train, tokens.unlabelled]),
        tokens.validation,
        tokens.vocabulary,
        source=None if source is None else Path(source),
        sizes={name: options[name] for name in SIZES if name in options},
        epochs=pretraining.pretrain_epochs,
        batch_words=pretraining.pretrain_batch_words,
        learning_rate=pretraining.pretrain_learning_rate,
        clip_norm=config.optimization.clip_norm,
        seed=config.seed,
        training=config.training,
    )


def _group_scales(
    model: keras.Model,
    groups: Sequence[Sequence[str]],
    *,
    decay: float,
    embedding_scale: float,
) -> dict[str, float]:
    """Factors of the learning rate, by path of the variable, lower further down."""
    scales = {
        variable.path: decay**i
        for i, names in enumerate(groups)
        for name in names
        for variable in model.get_layer(name).trainable_variables
    }
    for path, scale in _embedding_scale(model, embedding_scale).items():
        scales[path] *= scale
    return scales


def _embedding_scale(model: keras.Model, scale: float) -> dict[str, float]:
    """The factor of the learning rate of the word vectors, by path of the variable."""
    if scale == 1:
        return {}
    return {model.get_layer("embedding").trainable_variables[0].path: scale}


def _compile(
    model: keras.Model,
    config: Config,
    tokens: Tokens,
    epochs: int,
    scales: dict[str, float],
) -> None:
    """Compiles the classifier for a training of `epochs` epochs."""
    steps = token_steps_per_epoch(
        tokens.lessons, **batch_limits(config.training.batch_words, config.batch_size)
    )
    compile_classifier(
        model,
        optimization=config.optimization,
        training=config.training,
        learning_rate=config.learning_rate,
        label_smoothing=config.training.label_smoothing,
        total_steps=steps * epochs,
        rate_scales=scales,
    )


def _build(
    model: str,
    pretraining: PretrainingSettings,
    splits: TextSplits,
    tokens: Tokens,
    options: dict[str, Any],
) -> keras.Model:
    """The untrained model."""
    build = _builder(model, pretraining)
    return build(len(tokens.vocabulary), splits.num_classes, **options)


def _builder(
    model: str, pretraining: PretrainingSettings
) -> Callable[..., keras.Model]:
    """The function that builds the model."""
    if pretraining.has_language_model:
        return build_language_model_classifier
    return _BUILDERS[model]
