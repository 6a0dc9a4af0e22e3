"""Labelled images in memory."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images with their labels.

    Args:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
        paths: File of each image, where they come from files.
    """

    images: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Counts the examples."""
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Examples":
        """Picks examples.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            Those examples, in the order of `indices`.
        """
        paths = self.paths and tuple(self.paths[i] for i in indices)
        return Examples(self.images[indices], self.labels[indices], paths)


def draw_stratified(
    labels: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws examples so that each class keeps its share.

    Args:
        labels: int64 `(n,)`.
        size: How many to draw, at least the number of classes and at most `n`.
        rng: Where chance comes from.

    Returns:
        Sorted indices `(size,)`, at least one of each class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    ideal = counts * size / len(labels)
    quotas = np.maximum(np.floor(ideal).astype(int), 1)
    while quotas.sum() != size:
        # What rounding left over goes to the class that is owed most; what it
        # took too much is given back by the class that owes most.
        owed = ideal - quotas
        if quotas.sum() < size:
            quotas[np.argmax(owed)] += 1
        else:
            quotas[np.argmin(np.where(quotas > 1, owed, np.inf))] -= 1
    drawn = [
        rng.choice(np.flatnonzero(labels == label), quota, replace=False)
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(drawn))
