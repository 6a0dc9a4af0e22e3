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
