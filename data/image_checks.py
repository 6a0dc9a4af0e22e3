"""Checks of image splits before any time is spent on training."""

import hashlib
from collections.abc import Sequence

import numpy as np

from modelyard.data.errors import DatasetError


def check_splits(
    images: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    class_names: Sequence[str],
) -> dict[str, int]:
    """Raises on splits that cannot be trained on; counts doubtful examples.

    Args:
        images: uint8 `(n, height, width, channels)` of the splits "train",
            "validation" and "test".
        labels: int64 `(n,)` of the same splits, in [0, number of classes).
        class_names: Name of each class.

    Returns:
        `train_repeats`, the training examples whose very pixels came before in
        train, and `train_validation_duplicates` and `train_test_duplicates`, the
        examples of those splits whose very pixels are in train.

    Raises:
        DatasetError: If a label is out of range, a split is empty, or a class has no
            training example.
    """
    for split, values in labels.items():
        _check_labels(split, values, len(class_names))
    missing = np.setdiff1d(np.arange(len(class_names)), labels["train"])
    if missing.size:
        names = ", ".join(f"{class_names[i]!r}" for i in missing[:20])
        tested = np.intersect1d(missing, labels["test"]).size
        raise DatasetError(
            f"Every class needs training examples. Received: {missing.size} "
            f"class(es) without any, {tested} of them in the test split: {names}"
        )
    digests = {split: _digests(pixels) for split, pixels in images.items()}
    train = set(digests["train"])
    return {
        "train_repeats": len(digests["train"]) - len(train),
        "train_validation_duplicates": sum(d in train for d in digests["validation"]),
        "train_test_duplicates": sum(d in train for d in digests["test"]),
    }


def _check_labels(split, labels, num_classes):
    """Raises if a split is empty or has labels of no class."""
    if not len(labels):
        raise DatasetError(f"The {split} split is empty.")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DatasetError(
            f"Labels of the {split} split must be in [0, {num_classes}). "
            f"Received: {labels.min()} to {labels.max()}"
        )


def _digests(images):
    """Hashes the pixels of each image."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]
