import numpy as np
import pytest

from modelyard.reporting.confusion import confusion_section

_LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
_PREDICTIONS = np.array([0, 1, 1, 1, 2, 2, 2, 0])
_NAMES = ["cat", "dog", "bird"]


def _section(labels, predictions, names):
    scores = np.eye(len(names), dtype=np.float32)[predictions]
    return confusion_section(scores, labels, names)


def test_matrix_counts_true_rows_and_predicted_columns():
    matrix = _section(_LABELS, _PREDICTIONS, _NAMES).matrix
    assert matrix.names == _NAMES
    counts = [[count for count, _ in row] for row in matrix.cells]
    assert counts == [[1, 2, 0], [0, 1, 1], [1, 0, 2]]


def test_cells_are_blue_where_right_and_red_where_wrong():
    matrix = _section(_LABELS, _PREDICTIONS, _NAMES).matrix
    assert matrix.cells[0][0][1] == "rgb(20% 50% 88% / 0.23)"
    assert matrix.cells[0][1][1] == "rgb(88% 25% 16% / 0.75)"
    assert matrix.cells[0][2][1].endswith("/ 0.00)")


def test_most_frequent_confusions_come_first_with_their_share_of_the_class():
    aside = _section(_LABELS, _PREDICTIONS, _NAMES).aside
    assert aside.rows == [
        ("cat", "dog", "2", "66.7%"),
        ("dog", "bird", "1", "50.0%"),
        ("bird", "cat", "1", "33.3%"),
    ]


def test_at_most_ten_confusions_are_listed():
    labels = np.arange(20)
    section = _section(labels, (labels + 1) % 20, [str(i) for i in range(20)])
    assert len(section.aside.rows) == 10


def test_run_without_mistakes_lists_no_confusions():
    assert _section(_LABELS, _LABELS, _NAMES).aside is None


@pytest.mark.parametrize(("num_classes", "has_numbers"), [(30, True), (31, False)])
def test_matrix_of_many_classes_is_a_drawing(num_classes, has_numbers):
    labels = np.arange(num_classes)
    section = _section(labels, labels, [str(i) for i in labels])
    assert (section.matrix is not None) == has_numbers
    assert (section.figure is None) == has_numbers
    if not has_numbers:
        assert "true class" in section.figure
