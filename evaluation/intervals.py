"""Confidence intervals of accuracies."""

import numpy as np
from scipy import stats

_CONFIDENCE_LEVEL = 0.95


def difference_interval(
    accuracy: float,
    num_examples: int,
    reference_accuracy: float,
    reference_num_examples: int | None,
) -> tuple[float, float, float]:
    """Compares an accuracy with a published one, with a 95% interval.

    The interval is Newcombe's hybrid score interval (his method 10), which combines two
    Wilson intervals of independent test sets. On the same test set, the errors of two
    models usually overlap, so the interval is too wide rather than too narrow.

    Args:
        accuracy: Our accuracy, in [0, 1].
        num_examples: Number of test examples, at least 1.
        reference_accuracy: The published accuracy, in [0, 1].
        reference_num_examples: Number of test examples of the reference. `None` treats
            the reference as exact; the result is then our Wilson interval, shifted.

    Returns:
        `(difference, low, high)`, our accuracy minus the reference.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        [Newcombe, 1998](https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;2-I)
    """
    for name, value in (
        ("accuracy", accuracy),
        ("reference_accuracy", reference_accuracy),
    ):
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be in [0, 1]. Received: {name}={value}")
    for name, number in (
        ("num_examples", num_examples),
        ("reference_num_examples", reference_num_examples),
    ):
        if number is not None and number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={number}")
    low, high = wilson_interval(accuracy, num_examples)
    reference_low = reference_high = reference_accuracy
    if reference_num_examples is not None:
        reference_low, reference_high = wilson_interval(
            reference_accuracy, reference_num_examples
        )
    difference = accuracy - reference_accuracy
    below = np.hypot(accuracy - low, reference_high - reference_accuracy)
    above = np.hypot(high - accuracy, reference_accuracy - reference_low)
    return difference, float(difference - below), float(difference + above)


def wilson_interval(accuracy: float, num_examples: int) -> tuple[float, float]:
    """Computes the 95% Wilson score interval of an accuracy on `num_examples`.

    Reference:
        [Wilson, 1927](https://doi.org/10.1080/01621459.1927.10502953)
    """
    # A mean over several runs need not be a whole number of examples.
    successes = round(accuracy * num_examples)
    interval = stats.binomtest(successes, num_examples).proportion_ci(
        _CONFIDENCE_LEVEL, method="wilson"
    )
    return float(interval.low), float(interval.high)
