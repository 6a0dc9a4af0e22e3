import numpy as np
import pytest

from modelyard.data.splitting import draw_stratified


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([60, 30, 10], 10, [6, 3, 1]),
        ([60, 30, 10], 3, [1, 1, 1]),
        ([98, 1, 1], 4, [2, 1, 1]),
        ([50, 49, 1], 100, [50, 49, 1]),
        ([5, 5, 5], 7, [3, 2, 2]),
    ],
)
def test_draw_is_stratified(counts, size, expected):
    labels = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], counts))
    drawn = draw_stratified(labels, size, np.random.default_rng(0))
    assert len(np.unique(drawn)) == size
    assert np.bincount(labels[drawn], minlength=3).tolist() == expected


def test_draw_follows_the_seed():
    labels = np.repeat([0, 1], 50)
    first, same, other = (
        draw_stratified(labels, 20, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
