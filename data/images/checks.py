"""Checks of image splits before any time is spent on training."""

import hashlib
from collections.abc import Sequence

import numpy as np

from modelyard.data.label_checks import check_labels


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
    check_labels(labels, class_names)
    digests = {split: _digests(pixels) for split, pixels in images.items()}
    train = set(digests["train"])
    return {
        "train_repeats": len(digests["train"]) - len(train),
        "train_validation_duplicates": sum(d in train for d in digests["validation"]),
        "train_test_duplicates": sum(d in train for d in digests["test"]),
    }


def _digests(images):
    """Hashes the pixels of each image."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]
