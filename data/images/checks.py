"""Checks of image splits before training."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import psutil

from modelyard.data.errors import DatasetError
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
    return count_repeats(digests)


def count_repeats(digests: Mapping[str, Sequence[bytes]]) -> dict[str, int]:
    """Counts equal digests within train, and between train and other splits.

    Args:
        digests: Digests of the examples for each of the splits "train", "validation"
            and "test".

    Returns:
        The counts that `check_splits` describes.
    """
    train = set(digests["train"])
    return {
        "train_repeats": len(digests["train"]) - len(train),
        "train_validation_duplicates": sum(d in train for d in digests["validation"]),
        "train_test_duplicates": sum(d in train for d in digests["test"]),
    }


def check_memory(shape: Sequence[int], what: str, remedy: str) -> None:
    """Checks that images fit into half of the free memory.

    Args:
        shape: `(n, height, width, channels)` of uint8 images.
        what: What they are called.
        remedy: The end of the message: what to change, and what was received.

    Raises:
        DatasetError: If they do not fit.
    """
    needed = math.prod(shape)
    free = psutil.virtual_memory().available
    if needed > free / 2:
        count, height, width, channels = shape
        raise DatasetError(
            f"{count} {what} of {height}x{width}x{channels} need "
            f"{needed / 2**30:.1f} GiB, more than half of the free memory "
            f"({free / 2**30:.1f} GiB). {remedy}"
        )


def _digests(images):
    """Hashes the pixels of each image."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]
