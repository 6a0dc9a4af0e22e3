"""A language model that learns from texts without labels."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from modelyard.data.texts.token_lists import TokenLists
from modelyard.data.texts.token_pipeline import (
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)
from modelyard.data.texts.tokenizer import save_vocabulary
from modelyard.models import build_next_word_trainer, build_recurrent_language_model
from modelyard.training.checkpoint import Progress
from modelyard.training.files import storage_errors
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision, resolve_xla
from modelyard.training.run import Run
from modelyard.training.run_folder import read_run_json
from modelyard.training.settings import TrainingSettings

LANGUAGE_MODEL_FILE = "language_model.keras"
VOCABULARY_FILE = "vocabulary.json"
SIZES = ("embedding_dim", "units", "num_layers")  # Of a language model.
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
    run: Run,
    texts: TokenLists,
    validation: TokenLists,
    vocabulary: Sequence[str],
    *,
    source: Path | None,
    sizes: Mapping[str, int],
    epochs: int,
    batch_words: int,
    learning_rate: float,
    clip_norm: float,
    seed: int,
    training: TrainingSettings,
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains a language model, or reads the one of this run or of another.

    A trained one is kept in the run's folder as `language_model.keras`, with its
    vocabulary and with facts about it in `language_model.json`.

    Args:
        run: The run.
        texts: Token ids of the texts to learn from.
        validation: Token ids of the validation texts.
        vocabulary: The words; the position is the token id.
        source: Folder of another run to read it from; None trains one.
        sizes: Arguments of the builder, of those in `SIZES`.
        epochs: Passes over the texts.
        batch_words: Maximum words per update.
        learning_rate: Peak learning rate.
        clip_norm: Maximum global norm of the gradients; 0 disables clipping.
        seed: Seed of the weights and the data order.
        training: Precision and compilation.

    Returns:
        The float32 model, and the facts: perplexity of validation texts, likely next
        words, epochs, words per epoch, seconds.
    """
    if source is None and (run.folder / _FACTS_FILE).exists():
        source = run.folder
    if source is not None:
        model = keras.models.load_model(source / LANGUAGE_MODEL_FILE)
        return model, {**read_run_json(source, _FACTS_FILE), "source": str(source)}
    held_out = validation.take(np.arange(min(_VALIDATION_TEXTS, len(validation))))
    options = {**sizes, "vocabulary_size": len(vocabulary), **_DROPOUT}
    keras.utils.set_random_seed(seed)
    with dtype_policy(resolve_precision(training.precision)):
        trained = build_recurrent_language_model(**options)
    limits = {"batch_tokens": batch_words, "max_batch": _MAX_TEXTS}
    steps = token_steps_per_epoch(texts, **limits)
    optimizer = make_optimizer(
        "adamw",
        learning_rate=learning_rate,
        schedule="one_cycle",
        total_steps=steps * epochs,
        warmup_share=0.1,
        clip_norm=clip_norm,
    )
    trainer = build_next_word_trainer(trained, num_sampled=_SAMPLED_WORDS)
    trainer.compile(optimizer, jit_compile=resolve_xla(training.xla))
    run.say(f"Language model: {len(texts):,} texts, {len(texts.ids):,} words an epoch")
    progress = run.fit(
        trainer,
        lambda finished: make_token_training_dataset(
            texts,
            np.zeros(len(texts), np.int64),
            seed=seed,
            epochs=epochs,
            first_epoch=finished,
            **limits,
        ).map(_without_labels),
        _validation_batches(held_out).map(_without_labels),
        epochs=epochs,
        steps_per_epoch=steps,
        part="language_model",
    )
    with dtype_policy("float32"):
        model = build_recurrent_language_model(**options)
    model.set_weights(trained.get_weights())
    facts = _measure(model, texts, held_out, vocabulary, progress)
    run.say(
        f"Perplexity of validation texts: {facts['validation_perplexity']:.1f} "
        f"({facts['unigram_perplexity']:.0f} of word frequencies alone)"
    )
    with storage_errors(run.folder / VOCABULARY_FILE):
        save_vocabulary(list(vocabulary), run.folder / VOCABULARY_FILE)
    run.save(model, LANGUAGE_MODEL_FILE)
    run.write_json(_FACTS_FILE, facts)
    return model, facts


def _measure(
    model: keras.Model,
    texts: TokenLists,
    held_out: TokenLists,
    vocabulary: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Facts about a trained language model."""
    return {
        "validation_perplexity": _perplexity(model, held_out),
        "unigram_perplexity": _unigram_perplexity(texts, held_out, len(vocabulary)),
        "epochs": progress.epoch,
        "words_per_epoch": len(texts.ids),
        "train_seconds": progress.train_seconds,
        "continuations": _continue(model, vocabulary, held_out),
    }


def _without_labels(batch: tf.Tensor, _labels: tf.Tensor) -> tuple[tf.Tensor]:
    """The input of a model that adds its loss itself."""
    return (batch,)


def _validation_batches(texts: TokenLists) -> tf.data.Dataset:
    """Small batches of tokens, with placeholder labels."""
    return make_token_evaluation_dataset(
        texts,
        np.zeros(len(texts), np.int64),
        batch_tokens=_VALIDATION_WORDS,
        max_batch=_MAX_TEXTS,
    )


def _perplexity(model: keras.Model, texts: TokenLists) -> float:
    """Perplexity of all words but the first of each text."""
    trainer = build_next_word_trainer(model)
    total = count = 0.0
    for (batch,) in _validation_batches(texts).map(_without_labels).as_numpy_iterator():
        words = np.count_nonzero(batch[:, 1:])
        total += float(np.squeeze(trainer.predict_on_batch(batch))) * words
        count += words
    return math.exp(total / max(count, 1))


def _unigram_perplexity(texts: TokenLists, held_out: TokenLists, size: int) -> float:
    """Perplexity of a model that knows only the frequencies of words."""
    counts = np.bincount(texts.ids, minlength=size) + 1.0
    shares = np.log(counts / counts.sum())
    return math.exp(-shares[held_out.ids].mean())


def _continue(
    model: keras.Model, vocabulary: Sequence[str], texts: TokenLists
) -> list[dict[str, Any]]:
    """Beginnings of texts with the most likely next words and their probabilities."""
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
