"""Which points a learning curve has; whole ones are in test_transfer_images."""

import numpy as np
import pytest

from modelyard.data.catalogue import find_card
from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits
from modelyard.pipelines.learning_curve import check_label_counts, label_counts
from modelyard.pipelines.transfer_images import Config


def _splits(count):
    examples = Examples(
        np.zeros((count, 8, 8, 1), np.uint8), np.arange(count, dtype=np.int64) % 10
    )
    return ImageSplits(find_card("digits"), "digits", examples, examples, examples, {})


@pytest.mark.parametrize(
    ("asked", "count", "measured"),
    [
        ((), 1000, []),
        ("auto", 1000, [100, 1000]),
        ("auto", 45_833, [100, 1000, 10_000, 45_833]),
        # Two labels a class at least, but always all there are.
        ("auto", 15, [15]),
        ((50, 20), 70, [20, 50, 70]),
        ((70,), 70, [70]),
    ],
)
def test_points_are_in_order_and_end_with_all_labels(asked, count, measured):
    config = Config(learning_curve=asked)
    check_label_counts(config, _splits(count))
    assert label_counts(config, _splits(count)) == measured


@pytest.mark.parametrize("asked", [(9,), (71,)])
def test_impossible_numbers_of_labels_are_refused(asked):
    with pytest.raises(ValueError, match=rf"from 10,.*to 70,.*\({asked[0]},\)"):
        check_label_counts(Config(learning_curve=asked), _splits(70))
