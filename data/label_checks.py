"""Checks of the labels of all splits before training."""

from collections.abc import Sequence

import numpy as np

from modelyard.data.errors import DatasetError


def check_labels(labels: dict[str, np.ndarray], class_names: Sequence[str]) -> None:
    """Checks that the labels can be trained on.

    Args:
        labels: int64 `(n,)` for each of the splits "train", "validation" and "test",
            in [0, number of classes).
        class_names: Class names in label order.

    Raises:
        DatasetError: If a label is out of range, a split is empty, or a class has no
            training examples.
    """
    for split, values in labels.items():
        _check_split(split, values, len(class_names))
    missing = np.setdiff1d(np.arange(len(class_names)), labels["train"])
    if missing.size:
        names = ", ".join(f"{class_names[i]!r}" for i in missing[:20])
        tested = np.intersect1d(missing, labels["test"]).size
        raise DatasetError(
            f"Every class needs training examples. Received: {missing.size} "
            f"class(es) without any, {tested} of them in the test split: {names}"
        )


def _check_split(split, labels, num_classes):
    """Raises if a split is empty or a label is out of range."""
    if not len(labels):
        raise DatasetError(f"The {split} split is empty.")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DatasetError(
            f"Labels of the {split} split must be in [0, {num_classes}). "
            f"Received: {labels.min()} to {labels.max()}"
        )
