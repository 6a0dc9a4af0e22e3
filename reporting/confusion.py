"""The section on confusions between classes."""

from collections.abc import Sequence

import numpy as np

from modelyard.reporting import figures
from modelyard.reporting.formats import percent
from modelyard.reporting.sections import Matrix, Section

# In a larger confusion matrix, numbers would be illegible.
_MOST_CLASSES_WITH_NUMBERS = 30
_NUM_CONFUSIONS = 10


def confusion_section(
    scores: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> Section:
    """Returns the confusion matrix and the most frequent confusions.

    Args:
        scores: Probabilities, floating `(n, k)`.
        labels: True classes, integer `(n,)` in [0, k).
        names: The `k` names of the classes.
    """
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    has_numbers = len(names) <= _MOST_CLASSES_WITH_NUMBERS
    confusions = _confusions(counts, names)
    return Section(
        title="Confusion matrix",
        matrix=_make_matrix(counts, names) if has_numbers else None,
        figure=None if has_numbers else figures.confusion_figure(counts),
        remark=(
            "Rows are true classes, columns predictions. Blue is right, red is wrong. "
            "Stronger colours are larger shares of the row; reds are strengthened so "
            "that single mistakes are visible."
        ),
        aside=Section(
            title="Most frequent confusions",
            header=("True", "Predicted", "Mistakes", "Share"),
            rows=confusions,
        )
        if confusions
        else None,
    )


def _make_matrix(counts: np.ndarray, names: Sequence[str]) -> Matrix:
    """A confusion matrix with the CSS colours of its cells."""
    colours = figures.confusion_colours(counts)
    return Matrix(
        names,
        [
            [
                (int(count), "rgb({:.0%} {:.0%} {:.0%} / {:.2f})".format(*colour))
                for count, colour in zip(row, row_colours, strict=True)
            ]
            for row, row_colours in zip(counts, colours, strict=True)
        ],
    )


def _confusions(counts: np.ndarray, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The most frequent pairs of a true class and a wrong prediction."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_CONFUSIONS]
    pairs = [divmod(int(index), len(names)) for index in order]
    return [
        (
            names[true],
            names[predicted],
            str(wrong[true, predicted]),
            percent(wrong[true, predicted] / counts[true].sum(), 1),
        )
        for true, predicted in pairs
        if wrong[true, predicted]
    ]
