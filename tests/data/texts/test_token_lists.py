import numpy as np
import pytest

from modelyard.data.texts.token_lists import TokenLists, join_tokens, truncate_tokens


def lists(*rows):
    ids = np.array([token for row in rows for token in row], np.int32)
    return TokenLists(ids, np.cumsum([0, *map(len, rows)]))


def rows_of(tokens):
    return [row.tolist() for row in tokens]


def test_texts_are_slices_of_the_flat_ids():
    tokens = lists([5, 6], [7], [8, 9, 10])
    assert len(tokens) == 3
    assert tokens.lengths.tolist() == [2, 1, 3]
    assert rows_of(tokens) == [[5, 6], [7], [8, 9, 10]]
    assert tokens.to_dense().tolist() == [[5, 6, 0], [7, 0, 0], [8, 9, 10]]
    assert tokens.to_dense().dtype == np.int32


def test_joined_lists_are_concatenated():
    joined = join_tokens([lists([5, 6], [7]), lists(), lists([8, 9, 10])])
    assert rows_of(joined) == [[5, 6], [7], [8, 9, 10]]
    assert joined.offsets.dtype == np.int64


def test_take_selects_in_the_given_order():
    taken = lists([5, 6], [7], [8, 9, 10]).take(np.array([2, 0, 2]))
    assert rows_of(taken) == [[8, 9, 10], [5, 6], [8, 9, 10]]
    assert taken.ids.dtype == np.int32
    assert taken.offsets.dtype == np.int64
    assert len(taken.take(np.array([], int))) == 0


@pytest.mark.parametrize(
    ("truncation", "expected"),
    [
        ("head", [[1, 2, 3, 4], [1, 2, 3, 4], [9]]),
        ("tail", [[5, 6, 7, 8], [1, 2, 3, 4], [9]]),
        ("head_tail", [[1, 6, 7, 8], [1, 2, 3, 4], [9]]),
    ],
)
def test_truncation_keeps_the_chosen_part(truncation, expected):
    tokens = lists([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [9])
    truncated = truncate_tokens(tokens, 4, truncation)
    assert rows_of(truncated) == expected
    assert truncated.ids.dtype == np.int32


def test_wrong_truncation_is_named():
    with pytest.raises(ValueError, match=r"`max_length` must be .*max_length=0"):
        truncate_tokens(lists([1]), 0, "head")
    with pytest.raises(ValueError, match=r"'head', 'tail', 'head_tail'.*='middle'"):
        truncate_tokens(lists([1]), 1, "middle")
