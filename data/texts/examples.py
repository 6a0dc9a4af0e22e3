"""Labelled texts in memory."""

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class TextExamples:
    """Texts with their labels.

    Args:
        texts: `str` objects `(n,)`.
        labels: int64 `(n,)`.
    """

    texts: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Counts the examples."""
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "TextExamples":
        """Picks examples.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            Those examples, in the order of `indices`.
        """
        return TextExamples(self.texts[indices], self.labels[indices])


def number_texts(texts: np.ndarray) -> np.ndarray:
    """Numbers the distinct texts in the order of their first occurrence.

    Args:
        texts: `str` objects `(n,)`.

    Returns:
        int64 `(n,)`, from 0; exactly equal texts have the same number.
    """
    return pd.factorize(texts)[0].astype(np.int64)
