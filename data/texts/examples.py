"""Labelled texts in memory."""

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class TextExamples:
    """Texts and their labels.

    Attributes:
        texts: `str` objects `(n,)`.
        labels: int64 `(n,)`.
    """

    texts: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "TextExamples":
        """Selects examples by index.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            The selected examples, in the order of `indices`.
        """
        return TextExamples(self.texts[indices], self.labels[indices])


def number_texts(texts: np.ndarray) -> np.ndarray:
    """Numbers distinct texts in order of first occurrence.

    Args:
        texts: `str` objects `(n,)`.

    Returns:
        int64 `(n,)`, starting at 0; identical texts have the same number.
    """
    return pd.factorize(texts)[0].astype(np.int64)
