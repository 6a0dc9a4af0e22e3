"""The points of a learning curve; whole curves are in test_transfer_images."""

import pytest

from modelyard.pipelines.common.learning_curve import label_counts


@pytest.mark.parametrize(
    ("wanted", "count", "measured"),
    [
        ((), 1000, []),
        ("auto", 1000, [100, 1000]),
        ("auto", 45_833, [100, 1000, 10_000, 45_833]),
        # At least two labels per class, but always all there are.
        ("auto", 15, [15]),
        ((50, 20), 70, [20, 50, 70]),
        ((70,), 70, [70]),
    ],
)
def test_points_are_in_order_and_end_with_all_labels(wanted, count, measured):
    assert label_counts(wanted, count, num_classes=10) == measured


@pytest.mark.parametrize("wanted", [(9,), (71,)])
def test_impossible_numbers_of_labels_are_refused(wanted):
    with pytest.raises(ValueError, match=rf"from 10,.*to 70,.*\({wanted[0]},\)"):
        label_counts(wanted, 70, num_classes=10)
