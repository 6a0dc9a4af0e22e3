"""Teachers, which learn from the labels and then label the texts without any."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from modelyard.data.texts.loading import TextSplits
from modelyard.data.texts.token_lists import join_tokens
from modelyard.pipelines import text_training as setup
from modelyard.pipelines.recipes import recipe_values
from modelyard.pipelines.text_recipes import RECIPES
from modelyard.pipelines.text_results import predict_scores
from modelyard.pipelines.word_vectors import start_from_cooccurrence
from modelyard.training.files import storage_errors, write_atomically, write_json
from modelyard.training.run_folder import read_run_json

if TYPE_CHECKING:
    from modelyard.pipelines.classify_text import Config

_FACTS_FILE = "teachers.json"
_LABELS_FILE = "teacher_labels.npy"
_SHARED = (  # What teachers do as the model that learns from them.
    "dataset",
    "seed",
    "validation_share",
    "max_train_examples",
    "drop_test_texts",
    "precision",
    "xla",
)


def label_unlabelled(
    config: Config, splits: TextSplits, folder: Path, console: Console
) -> tuple[np.ndarray, dict[str, Any]]:
    """Trains the teachers, and takes the classes of their mean scores for labels.

    Both are kept in the run's folder: `teacher_labels.npy` and, beside it,
    `teachers.json` with what is known about them. A resumed run reads them.

    Args:
        config: Settings, with `teachers`.
        splits: The examples, with unlabelled ones.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        The classes of the unlabelled texts, int64 `(m,)`, and the facts: names of the
        models, the accuracy of their mean scores on validation texts by round and of
        each in the last one, how often they chose each class in that, their mean
        score for it, seconds.

    Reference:
        [Scudder, 1965](https://doi.org/10.1109/TIT.1965.1053799),
        [Xie et al., 2019](https://arxiv.org/abs/1911.04252) (with dropout in training)
    """
    if (folder / _FACTS_FILE).exists():
        return np.load(folder / _LABELS_FILE), read_run_json(folder, _FACTS_FILE)
    began = time.perf_counter()
    known, labels = splits.train.labels, np.empty(0, np.int64)
    accuracies = []
    for number in range(1, config.teacher_rounds + 1):
        each, validation, scores = {}, [], []
        for model in config.teachers:
            console.print(
                f"Teacher {model}, round {number} of {config.teacher_rounds}: "
                f"{len(known) + len(labels):,} texts",
                highlight=False,
            )
            some, others = _teach(
                teacher_config(config, model),
                splits,
                np.concatenate([known, labels]),
                folder / "teachers" / model / str(number),
                console,
            )
            each[model] = _accuracy(some, splits)
            validation.append(some)
            scores.append(others)
        accuracies.append(_accuracy(np.mean(validation, axis=0), splits))
        mean = np.mean(scores, axis=0)
        labels = mean.argmax(axis=-1).astype(np.int64)
    console.print(
        f"{config.model}: {len(known):,} texts and {len(labels):,} by teachers",
        highlight=False,
    )
    facts = {
        "models": list(config.teachers),
        "validation_accuracy": accuracies,
        "validation_accuracy_of_each": each,
        "texts": {
            name: int((labels == i).sum()) for i, name in enumerate(splits.class_names)
        },
        "mean_score": float(mean.max(axis=-1).mean()),
        "seconds": time.perf_counter() - began,
    }
    write_atomically(folder / _LABELS_FILE, lambda file: np.save(file, labels))
    write_json(folder / _FACTS_FILE, facts)  # Last: it says that all is there.
    for checkpoints in (folder / "teachers").glob("*/*/checkpoints"):
        shutil.rmtree(checkpoints)  # Large, and only for teachers that are not done.
    return labels, facts


def teacher_config(config: Config, model: str) -> Config:
    """Returns the settings of a teacher: its recipe `fast`, on the same examples.

    Networks also start from the same kind of word vectors.
    """
    name = config.dataset.partition("?")[0]
    shared = {field: getattr(config, field) for field in _SHARED}
    if model != "ngram":
        shared["word_vectors"] = config.word_vectors
    values = recipe_values(RECIPES, "fast", name, model)
    return type(config)(**values | shared | {"model": model})


def _teach(
    config: Config,
    splits: TextSplits,
    labels: np.ndarray,
    folder: Path,
    console: Console,
) -> tuple[np.ndarray, np.ndarray]:
    """Trains a teacher; returns its scores of the validation and unlabelled texts.

    Labels are those of the training texts and, if there are more, the unlabelled.
    """
    options = setup.model_options(config)
    tokens = setup.tokenize(config, splits)
    if len(labels) > len(tokens.train):
        lessons = join_tokens([tokens.train, tokens.unlabelled])
        tokens = dataclasses.replace(tokens, lessons=lessons)
    model = setup.compile_model(config, splits, tokens, options)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if config.word_vectors == "cooccurrence":
        start_from_cooccurrence(config, tokens, model, folder, console)
    setup.fit(
        config,
        splits,
        tokens,
        labels,
        model,
        folder,
        console,
        epochs=config.epochs,
        patience=config.early_stopping,
    )
    model = setup.as_float32(model, config, splits, tokens, options)
    return (
        predict_scores(config, model, tokens.validation),
        predict_scores(config, model, tokens.unlabelled),
    )


def _accuracy(scores: np.ndarray, splits: TextSplits) -> float:
    """Accuracy of scores of the validation texts."""
    return float(np.mean(scores.argmax(axis=-1) == splits.validation.labels))
