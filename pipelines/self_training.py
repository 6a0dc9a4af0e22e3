"""A teacher, which learns from the labels and then labels the texts without any."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from modelyard.data.text_loading import TextSplits
from modelyard.data.token_lists import join_tokens
from modelyard.pipelines import text_training as setup
from modelyard.pipelines.recipes import recipe_values
from modelyard.pipelines.text_recipes import RECIPES
from modelyard.pipelines.text_results import predict_scores
from modelyard.training.files import write_atomically, write_json
from modelyard.training.run_folder import read_run_json

if TYPE_CHECKING:
    from modelyard.pipelines.classify_text import Config

_FACTS_FILE = "teacher.json"
_LABELS_FILE = "teacher_labels.npy"
_SHARED = (  # What the teacher does as the model that learns from it.
    "dataset",
    "seed",
    "validation_share",
    "max_train_examples",
    "drop_test_texts",
    "precision",
    "xla",
)


def label_unlabelled(
    config: Config,
    teacher_model: str,
    splits: TextSplits,
    folder: Path,
    console: Console,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Trains the teacher, and takes its predictions for labels.

    Both are kept in the run's folder: `teacher_labels.npy` and, beside it,
    `teacher.json` with what is known about them. A resumed run reads them.

    Args:
        config: Settings.
        teacher_model: Name of the teacher's model.
        splits: The examples, with unlabelled ones.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        The classes of the unlabelled texts, int64 `(m,)`, and the facts: name of the
        model, its accuracy on validation texts by round, how often it chose each
        class in the last one, its mean score for it, seconds.

    Reference:
        [Scudder, 1965](https://doi.org/10.1109/TIT.1965.1053799),
        [Xie et al., 2019](https://arxiv.org/abs/1911.04252) (with dropout in training)
    """
    if (folder / _FACTS_FILE).exists():
        return np.load(folder / _LABELS_FILE), read_run_json(folder, _FACTS_FILE)
    began = time.perf_counter()
    teacher = teacher_config(config, teacher_model)
    options = setup.model_options(teacher)
    tokens = setup.tokenize(teacher, splits)
    known, labels = splits.train.labels, np.empty(0, np.int64)
    accuracies = []
    for number in range(1, config.teacher_rounds + 1):
        if number == 2:
            lessons = join_tokens([tokens.train, tokens.unlabelled])
            tokens = dataclasses.replace(tokens, lessons=lessons)
        console.print(
            f"Teacher {teacher.model}, round {number} of {config.teacher_rounds}: "
            f"{len(tokens.lessons):,} texts",
            highlight=False,
        )
        model = setup.compile_model(teacher, splits, tokens, options)
        setup.fit(
            teacher,
            splits,
            tokens,
            np.concatenate([known, labels]),
            model,
            folder / "teacher" / str(number),
            console,
            epochs=teacher.epochs,
            patience=teacher.early_stopping,
        )
        model = setup.as_float32(model, teacher, splits, tokens, options)
        validation = predict_scores(teacher, model, tokens.validation).argmax(axis=-1)
        accuracies.append(float(np.mean(validation == splits.validation.labels)))
        scores = predict_scores(teacher, model, tokens.unlabelled)
        labels = scores.argmax(axis=-1).astype(np.int64)
    console.print(
        f"{config.model}: {len(known):,} texts and {len(labels):,} by the teacher",
        highlight=False,
    )
    facts = {
        "model": teacher.model,
        "validation_accuracy": accuracies,
        "texts": {
            name: int((labels == i).sum()) for i, name in enumerate(splits.class_names)
        },
        "mean_score": float(scores.max(axis=-1).mean()),
        "seconds": time.perf_counter() - began,
    }
    write_atomically(folder / _LABELS_FILE, lambda file: np.save(file, labels))
    write_json(folder / _FACTS_FILE, facts)  # Last: it says that all is there.
    for checkpoints in (folder / "teacher").glob("*/checkpoints"):
        shutil.rmtree(checkpoints)  # Large, and only for a teacher that is not done.
    return labels, facts


def teacher_config(config: Config, model: str) -> Config:
    """Returns the settings of the teacher: its recipe `fast`, on the same examples."""
    name = config.dataset.partition("?")[0]
    shared = {field: getattr(config, field) for field in _SHARED}
    values = recipe_values(RECIPES, "fast", name, model)
    return type(config)(**values | shared | {"model": model})
