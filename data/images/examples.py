"""Labelled images in memory."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images and their labels.

    Attributes:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Examples":
        """Selects examples by index.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            The selected examples, in the order of `indices`.
        """
        return Examples(self.images[indices], self.labels[indices])
