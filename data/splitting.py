"""Stratified splits of a data set. All functions return sorted indices."""

from collections.abc import Sequence

import numpy as np

from modelyard.data.catalogue import FOLDS
from modelyard.data.errors import DatasetError


def cut_test(
    labels: np.ndarray, fold: int, class_names: Sequence[str], *, hint: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Uses one stratified fifth as the test split, the same one for every seed.

    Args:
        labels: int64 `(n,)`.
        fold: Which fifth, in [0, 5).
        class_names: Class names in label order.
        hint: An alternative for the user, appended to the error message.

    Returns:
        Indices of train, and of test.

    Raises:
        DatasetError: If a class has fewer than 5 examples.
    """
    from sklearn.model_selection import StratifiedKFold  # Slow to import.

    _check_class_sizes(labels, FOLDS, class_names, f"to cut a test split{hint}")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    train, test = list(folds.split(labels, labels))[fold]
    return train, test


def cut_validation(
    labels: np.ndarray,
    share: float,
    class_names: Sequence[str],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits validation from train, with at least one example of each class in both.

    Args:
        labels: int64 `(n,)` of train.
        share: Share of the examples that becomes validation, in (0, 1); stratified.
        class_names: Class names in label order.
        rng: Random number generator.

    Returns:
        Indices of the remaining training examples, and of validation.

    Raises:
        DatasetError: If a class has fewer than 2 examples.
    """
    _check_class_sizes(labels, 2, class_names, "to cut a validation split")
    held_out = np.zeros(len(labels), bool)
    classes = np.unique(labels)
    size = min(
        max(round(share * len(labels)), len(classes)), len(labels) - len(classes)
    )
    held_out[draw_stratified(labels, size, rng)] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def limit_train(
    labels: np.ndarray, most: int, num_classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws at most `most` examples, with the classes in proportion.

    Args:
        labels: int64 `(n,)` of train.
        most: `max_train_examples`.
        num_classes: Number of classes.
        rng: Random number generator.

    Returns:
        Indices of the examples to keep.

    Raises:
        ValueError: If `most` is below `num_classes`.
    """
    if most >= len(labels):
        return np.arange(len(labels))
    if most < num_classes:
        raise ValueError(
            f"`max_train_examples` must be at least {num_classes}, one for each class. "
            f"Received: max_train_examples={most}"
        )
    return draw_stratified(labels, most, rng)


def draw_stratified(
    labels: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws a stratified sample without replacement.

    Args:
        labels: int64 `(n,)`.
        size: Number of examples to draw, from the number of classes to `n`.
        rng: Random number generator.

    Returns:
        Sorted indices `(size,)`, at least one of each class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    ideal = counts * size / len(labels)
    quotas = np.maximum(np.floor(ideal).astype(int), 1)
    while quotas.sum() != size:
        # If rounding left too few, the class furthest below its ideal gains one; if
        # it took too many, the class furthest above its ideal loses one.
        shortfall = ideal - quotas
        if quotas.sum() < size:
            quotas[np.argmax(shortfall)] += 1
        else:
            quotas[np.argmin(np.where(quotas > 1, shortfall, np.inf))] -= 1
    drawn = [
        rng.choice(np.flatnonzero(labels == label), quota, replace=False)
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def check_share(validation_share: float) -> None:
    """Checks that neither train nor validation would be empty.

    Args:
        validation_share: Share of train that becomes validation.

    Raises:
        ValueError: If `validation_share` is not in (0, 1).
    """
    if not 0 < validation_share < 1:
        raise ValueError(
            "`validation_share` must be in (0, 1). "
            f"Received: validation_share={validation_share}"
        )


def _check_class_sizes(labels, least, class_names, purpose):
    """Raises if a class has some examples but fewer than `least`."""
    classes, counts = np.unique(labels, return_counts=True)
    small = [
        f"{class_names[label]!r} ({count})"
        for label, count in zip(classes, counts, strict=True)
        if count < least
    ]
    if small:
        raise DatasetError(
            f"Every class needs at least {least} examples {purpose}. "
            f"Received: {', '.join(small[:20])}"
        )
