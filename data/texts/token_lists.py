"""Token ids of many texts in one flat array, and their truncation.

Id 0 is padding, always at the end. Id 1 stands for every word outside the vocabulary.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

PADDING = 0
UNKNOWN = 1

Truncation = Literal["head", "tail", "head_tail"]


@dataclasses.dataclass(frozen=True)
class TokenLists:
    """Texts as token ids.

    Attributes:
        ids: int32 `(total,)`, the concatenated ids of all texts.
        offsets: int64 `(n + 1,)`; text `i` is `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        """Returns the number of texts."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """Returns the ids of one text, int32 `(t,)`."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Number of ids of each text, int64 `(n,)`."""
        return np.diff(self.offsets)

    def take(self, indices: np.ndarray) -> "TokenLists":
        """Selects texts by index.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            The selected texts, in the order of `indices`.
        """
        lengths = self.lengths[indices]
        positions = _positions(lengths)
        return TokenLists(
            self.ids[np.repeat(self.offsets[:-1][indices], lengths) + positions],
            _offsets(lengths),
        )

    def to_dense(self) -> np.ndarray:
        """Returns int32 `(n, longest)`, padded at the end; meant for few texts."""
        lengths = self.lengths
        dense = np.full((len(self), lengths.max(initial=0)), PADDING, np.int32)
        dense[np.arange(dense.shape[1]) < lengths[:, np.newaxis]] = self.ids
        return dense


def join_tokens(parts: Sequence[TokenLists]) -> TokenLists:
    """Concatenates the texts of all parts."""
    lengths = np.concatenate([part.lengths for part in parts])
    return TokenLists(np.concatenate([part.ids for part in parts]), _offsets(lengths))


def truncate_tokens(
    tokens: TokenLists, max_length: int, truncation: Truncation
) -> TokenLists:
    """Truncates long texts.

    Args:
        tokens: The texts.
        max_length: Maximum number of ids per text, at least 1.
        truncation: Part of a long text to keep: "head", its beginning; "tail", its
            end; "head_tail", a quarter of `max_length` from its beginning and the rest
            from its end, where verdicts tend to be.

    Returns:
        The texts, each with at most `max_length` ids.

    Raises:
        ValueError: If `max_length` is below 1 or `truncation` is unknown.

    Reference:
        [Sun et al., 2019](https://arxiv.org/abs/1905.05583), section 5.3.1
    """
    head = head_length(max_length, truncation)
    surplus = np.maximum(tokens.lengths - max_length, 0)
    lengths = tokens.lengths - surplus
    positions = _positions(lengths)
    skipped = np.where(positions < head, 0, np.repeat(surplus, lengths))
    starts = np.repeat(tokens.offsets[:-1], lengths)
    return TokenLists(tokens.ids[starts + positions + skipped], _offsets(lengths))


def head_length(max_length: int, truncation: Truncation) -> int:
    """Returns the number of ids to keep from the beginning of a long text.

    Args:
        max_length: As for `truncate_tokens`.
        truncation: As for `truncate_tokens`.

    Returns:
        A number in [0, max_length]; the remaining ids come from the end.

    Raises:
        ValueError: If `max_length` is below 1 or `truncation` is unknown.
    """
    if max_length < 1:
        raise ValueError(
            f"`max_length` must be at least 1. Received: max_length={max_length}"
        )
    if truncation not in get_args(Truncation):
        known = ", ".join(map(repr, get_args(Truncation)))
        raise ValueError(
            f"`truncation` must be one of {known}. Received: truncation={truncation!r}"
        )
    return {"head": max_length, "tail": 0, "head_tail": max_length // 4}[truncation]


def _positions(lengths):
    """Returns the position of each id within its text: 0, 1, 2, ..."""
    offsets = _offsets(lengths)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)


def _offsets(lengths):
    """Returns the start of each text, followed by the end of the last."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
