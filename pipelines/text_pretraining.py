"""A language model that learns from texts without labels, and what starts from it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from rich.console import Console
from scipy.special import softmax

from modelyard.data.texts.token_lists import TokenLists, join_tokens
from modelyard.data.texts.token_pipeline import (
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)
from modelyard.data.texts.tokenizer import save_vocabulary
from modelyard.models import (
    build_next_word_trainer,
    build_recurrent_language_model,
    copy_encoder_weights,
    unfreezing_groups,
)
from modelyard.pipelines import text_training as setup
from modelyard.pipelines.classification_results import save_model
from modelyard.pipelines.run_steps import compile_classifier
from modelyard.pipelines.text_training import (
    LANGUAGE_MODEL_FILE,
    SIZES,
    VOCABULARY_FILE,
    Tokens,
)
from modelyard.training.checkpoint import Progress
from modelyard.training.files import storage_errors, write_json, write_text
from modelyard.training.fit import fit_resumably
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision, resolve_xla
from modelyard.training.run_folder import read_run_json

if TYPE_CHECKING:
    from modelyard.data.texts.loading import TextSplits
    from modelyard.pipelines.classify_text import Config

_FACTS_FILE = "language_model.json"
_SAMPLED_WORDS = 512
# Few passes over much text hardly overfit.
_DROPOUT: dict[str, Any] = {
    "word_dropout": 0.0,
    "embedding_dropout": 0.1,
    "dropout": 0.1,
    "weight_drop": 0.0,
}
_MAX_TEXTS = 32
_VALIDATION_TEXTS = 256
_VALIDATION_WORDS = 2048  # A batch has as many logits for each word of the vocabulary.
_PROMPTS = 6
_PROMPT_WORDS = 8
_CHOICES = 5


def obtain_language_model(
    config: Config,
    tokens: Tokens,
    options: dict[str, Any],
    folder: Path,
    console: Console,
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains a language model, or reads the one of another run or of this one.

    What is trained is kept in the run's folder: `language_model.keras` and, beside
    it, `language_model.json` with what is known about it.

    Args:
        config: Settings, with `pretrain_epochs` or `pretrained`.
        tokens: The texts.
        options: Arguments for the builder of the classifier.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        The float32 model, and the facts: perplexity of validation texts, likely next
        words, epochs, words of an epoch, seconds.
    """
    if config.pretrained is not None:
        source = Path(config.pretrained)
    elif (folder / _FACTS_FILE).exists():
        source = folder
    else:
        return _train(config, tokens, options, folder, console)
    model = keras.models.load_model(source / LANGUAGE_MODEL_FILE)
    return model, {**read_run_json(source, _FACTS_FILE), "source": str(source)}


def fine_tune(
    config: Config,
    splits: TextSplits,
    tokens: Tokens,
    labels: np.ndarray,
    model: keras.Model,
    language_model: keras.Model,
    folder: Path,
    console: Console,
) -> Progress:
    """Trains a classifier that starts with the layers of a language model.

    Args:
        config: Settings.
        splits: The examples.
        tokens: Their token ids.
        labels: Classes of `tokens.lessons`, int64 `(n,)`.
        model: Classifier of `build_language_model_classifier`; trained in place.
        language_model: What it starts from.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        History and timing of all stages.

    Reference:
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146)
    """
    copy_encoder_weights(language_model, model)
    groups = unfreezing_groups(model)
    steps = setup.steps_per_epoch(config, tokens)
    scales = {
        variable.path: config.rate_decay**i
        for i, names in enumerate(groups)
        for name in names
        for variable in model.get_layer(name).trainable_variables
    }
    for path, scale in setup.embedding_scale(config, model).items():
        scales[path] *= scale
    stages = _plan_stages(config, groups)
    total = sum(epochs for _, epochs in stages)
    parts: list[Progress] = []
    for i, (names, epochs) in enumerate(stages):
        is_last = i == len(stages) - 1
        for group in groups:
            for name in group:
                model.get_layer(name).trainable = name in names
        console.print(f"Fine-tuning: {', '.join(names)}", highlight=False)
        compile_classifier(model, config, steps * epochs, rate_scales=scales)
        part = setup.fit(
            config,
            splits,
            tokens,
            labels,
            model,
            folder if is_last else folder / "unfreezing" / str(i + 1),
            console,
            epochs=epochs,
            stream=(i, total),  # All stages before this one have one epoch.
            patience=config.early_stopping if is_last else 0,
        )
        parts.append(part)
    progress = _join(parts)
    table = pd.DataFrame(progress.history).to_csv(index=False)
    write_text(folder / "history.csv", table)
    return progress


def _plan_stages(
    config: Config, groups: list[list[str]]
) -> list[tuple[list[str], int]]:
    """Names of the layers that are trained, and for how many epochs, by stage."""
    if config.unfreezing == "none":
        return [(groups[0], config.epochs)]
    everything = [name for group in groups for name in group]
    if config.unfreezing == "at_once":
        return [(everything, config.epochs)]
    upper = [
        ([name for group in groups[:count] for name in group], 1)
        for count in range(1, len(groups))
    ]
    return [*upper, (everything, config.epochs)]


def _join(parts: list[Progress]) -> Progress:
    """One history of all stages."""
    rows: list[dict[str, float]] = []
    seconds = 0.0
    for part in parts:
        for row in part.history:
            rows.append(
                {**row, "epoch": len(rows) + 1, "seconds": row["seconds"] + seconds}
            )
        seconds += part.train_seconds
    return dataclasses.replace(
        parts[-1],
        epoch=len(rows),
        history=rows,
        train_seconds=seconds,
        input_wait_seconds=sum(part.input_wait_seconds for part in parts),
    )


def _train(
    config: Config,
    tokens: Tokens,
    options: dict[str, Any],
    folder: Path,
    console: Console,
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains a language model on all texts but validation and test, and keeps it."""
    texts = join_tokens([tokens.train, tokens.unlabelled])
    held_out = tokens.validation.take(
        np.arange(min(_VALIDATION_TEXTS, len(tokens.validation)))
    )
    sizes: dict[str, Any] = {n: options[n] for n in SIZES if n in options}
    sizes["vocabulary_size"] = len(tokens.vocabulary)
    trained, progress = _fit(config, texts, held_out, sizes, folder, console)
    with dtype_policy("float32"):
        model = build_recurrent_language_model(**sizes, **_DROPOUT)
    model.set_weights(trained.get_weights())
    facts = {
        "validation_perplexity": _perplexity(model, held_out),
        "unigram_perplexity": _unigram_perplexity(
            texts, held_out, len(tokens.vocabulary)
        ),
        "epochs": progress.epoch,
        "words_per_epoch": len(texts.ids),
        "train_seconds": progress.train_seconds,
        "continuations": _continue(model, tokens.vocabulary, held_out),
    }
    console.print(
        f"Perplexity of validation texts: {facts['validation_perplexity']:.1f} "
        f"({facts['unigram_perplexity']:.0f} by the frequency of words alone)",
        highlight=False,
    )
    with storage_errors(folder / VOCABULARY_FILE):
        save_vocabulary(tokens.vocabulary, folder / VOCABULARY_FILE)
    save_model(folder, model, LANGUAGE_MODEL_FILE)
    write_json(folder / _FACTS_FILE, facts)
    return model, facts


def _fit(
    config: Config,
    texts: TokenLists,
    held_out: TokenLists,
    sizes: dict[str, Any],
    folder: Path,
    console: Console,
) -> tuple[keras.Model, Progress]:
    """Trains a language model; returns it with its history."""
    limits = {"batch_tokens": config.pretrain_batch_words, "max_batch": _MAX_TEXTS}
    steps = token_steps_per_epoch(texts, **limits)
    console.print(
        f"Language model: {len(texts):,} texts, {len(texts.ids):,} words an epoch",
        highlight=False,
    )
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(resolve_precision(config.precision)):
        model = build_recurrent_language_model(**sizes, **_DROPOUT)
    trainer = build_next_word_trainer(model, num_sampled=_SAMPLED_WORDS)
    trainer.compile(
        make_optimizer(
            "adamw",
            learning_rate=config.pretrain_learning_rate,
            schedule="one_cycle",
            total_steps=steps * config.pretrain_epochs,
            warmup_share=0.1,
            clip_norm=config.clip_norm,
        ),
        jit_compile=resolve_xla(config.xla),
    )
    progress = fit_resumably(
        trainer,
        lambda finished: make_token_training_dataset(
            texts,
            np.zeros(len(texts), np.int64),
            seed=config.seed,
            epochs=config.pretrain_epochs,
            first_epoch=finished,
            **limits,
        ).map(_without_labels),
        _validation_batches(held_out).map(_without_labels),
        epochs=config.pretrain_epochs,
        steps_per_epoch=steps,
        folder=folder / "language_model",
        console=console,
    )
    return model, progress


def _without_labels(batch: tf.Tensor, _labels: tf.Tensor) -> tuple[tf.Tensor]:
    """What a model takes that adds its loss itself."""
    return (batch,)


def _validation_batches(texts: TokenLists) -> tf.data.Dataset:
    """Small batches of tokens, with labels that mean nothing."""
    return make_token_evaluation_dataset(
        texts,
        np.zeros(len(texts), np.int64),
        batch_tokens=_VALIDATION_WORDS,
        max_batch=_MAX_TEXTS,
    )


def _perplexity(model: keras.Model, texts: TokenLists) -> float:
    """Perplexity of the words behind the first one of each text."""
    trainer = build_next_word_trainer(model)
    total = count = 0.0
    for (batch,) in _validation_batches(texts).map(_without_labels).as_numpy_iterator():
        words = np.count_nonzero(batch[:, 1:])
        total += float(np.squeeze(trainer.predict_on_batch(batch))) * words
        count += words
    return math.exp(total / max(count, 1))


def _unigram_perplexity(texts: TokenLists, held_out: TokenLists, size: int) -> float:
    """The same of a model that knows how often words come, and nothing else."""
    counts = np.bincount(texts.ids, minlength=size) + 1.0
    shares = np.log(counts / counts.sum())
    return math.exp(-shares[held_out.ids].mean())


def _continue(
    model: keras.Model, vocabulary: list[str], texts: TokenLists
) -> list[dict[str, Any]]:
    """Beginnings of texts with the likeliest next words and their probabilities."""
    found = []
    for index in np.flatnonzero(texts.lengths > _PROMPT_WORDS)[:_PROMPTS]:
        prompt = texts[int(index)][:_PROMPT_WORDS]
        scores = softmax(model.predict_on_batch(prompt[np.newaxis])[0, -1])
        best = np.argsort(-scores)[:_CHOICES]
        found.append(
            {
                "words": " ".join(vocabulary[i] for i in prompt),
                "next": [(vocabulary[i], float(scores[i])) for i in best],
            }
        )
    return found
