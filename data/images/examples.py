"""Labelled images in memory."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images with their labels.

    Args:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
    """

    images: np.ndarray
    labels: np.ndarray

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
        return Examples(self.images[indices], self.labels[indices])
