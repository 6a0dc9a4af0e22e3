"""Checks of image splits before training."""

import hashlib
from collections.abc import Sequence

import numpy as np

from modelyard.data.label_checks import check_labels


def check_splits(
    images: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    class_names: Sequence[str],
) -> dict[str, int]:
    """Checks that splits can be trained on, and counts exact duplicates.

    Args:
        images: uint8 `(n, height, width, channels)` for each of the splits "train",
            "validation" and "test".
        labels: int64 `(n,)` for each split, in [0, number of classes).
        class_names: Class names in label order.

    Returns:
        Counts: `train_repeats`, exact duplicates of earlier training images;
        `train_validation_duplicates` and `train_test_duplicates`, validation and test
        images that are exact duplicates of training images.

    Raises:
        DatasetError: If a label is out of range, a split is empty, or a class has no
            training examples.
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
