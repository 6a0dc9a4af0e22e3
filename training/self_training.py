"""Teachers: models that learn from the labels, and then label more examples."""

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelyard.training.files import write_atomically
from modelyard.training.run import Run
from modelyard.training.run_folder import read_run_json

_FACTS_FILE = "teachers.json"
_LABELS_FILE = "teacher_labels.npy"


def label_unlabelled(
    run: Run,
    teachers: Sequence[str],
    teach: Callable[[str, np.ndarray, str], tuple[np.ndarray, np.ndarray]],
    *,
    rounds: int,
    train_labels: np.ndarray,
    validation_labels: np.ndarray,
    class_names: Sequence[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """Trains the teachers; the classes of their mean scores become labels.

    The labels and facts about them are kept in the run's folder as
    `teacher_labels.npy` and `teachers.json`. A resumed run reads them.

    Args:
        run: The run.
        teachers: Names of the models.
        teach: Function that trains a teacher. It takes the teacher's name, the labels
            of the training examples (from the second round on followed by those of the
            unlabelled examples), and the subfolder of the run to train in. It returns
            the scores of the validation and of the unlabelled examples,
            `(n, num_classes)` each.
        rounds: Number of rounds; later ones also train on the examples labelled before.
        train_labels: Integers `(n,)`.
        validation_labels: Integers `(m,)`.
        class_names: Names of the classes.

    Returns:
        The classes of the unlabelled examples, int64 `(k,)`, and the facts: names of
        the teachers, the validation accuracy of their mean scores by round and of each
        in the last one, examples by class, their mean score, seconds.

    Reference:
        [Scudder, 1965](https://doi.org/10.1109/TIT.1965.1053799),
        [Xie et al., 2019](https://arxiv.org/abs/1911.04252) (with dropout in training)
    """
    folder = run.folder
    if (folder / _FACTS_FILE).exists():
        return np.load(folder / _LABELS_FILE), read_run_json(folder, _FACTS_FILE)
    began = time.perf_counter()
    labels = np.empty(0, np.int64)
    accuracies = []
    for number in range(1, rounds + 1):
        each, validation, scores = {}, [], []
        for teacher in teachers:
            count = len(train_labels) + len(labels)
            run.say(f"Teacher {teacher}, round {number} of {rounds}: {count:,} texts")
            some, others = teach(
                teacher,
                np.concatenate([train_labels, labels]),
                f"teachers/{teacher}/{number}",
            )
            each[teacher] = _accuracy(some, validation_labels)
            validation.append(some)
            scores.append(others)
        accuracies.append(_accuracy(np.mean(validation, axis=0), validation_labels))
        mean = np.mean(scores, axis=0)
        labels = mean.argmax(axis=-1).astype(np.int64)
    facts = {
        "models": list(teachers),
        "validation_accuracy": accuracies,
        "validation_accuracy_of_each": each,
        "texts": {name: int((labels == i).sum()) for i, name in enumerate(class_names)},
        "mean_score": float(mean.max(axis=-1).mean()),
        "seconds": time.perf_counter() - began,
    }
    write_atomically(folder / _LABELS_FILE, lambda file: np.save(file, labels))
    run.write_json(_FACTS_FILE, facts)  # Last: it says that both are complete.
    for checkpoints in (folder / "teachers").glob("*/*/checkpoints"):
        shutil.rmtree(checkpoints)  # Large, and only needed to resume a teacher.
    return labels, facts


def _accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of scores `(n, num_classes)`."""
    return float(np.mean(scores.argmax(axis=-1) == labels))
