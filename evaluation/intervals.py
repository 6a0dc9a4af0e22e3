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

    The interval is Newcombe's hybrid score interval (his method 10), which joins the
    two Wilson intervals as for two independent test sets. On one and the same test
    set the errors of two models usually coincide in part, and it is then too wide
    rather than too narrow.

    Args:
        accuracy: Ours, in [0, 1].
        num_examples: Test examples behind it, at least 1.
        reference_accuracy: Theirs, in [0, 1].
        reference_num_examples: Test examples behind theirs; `None` takes theirs as
            exact, which leaves our Wilson interval, shifted.

    Returns:
        `(difference, low, high)`, ours minus theirs.

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
    """Computes the 95% Wilson score interval of a share of `num_examples`.

    Reference:
        [Wilson, 1927](https://doi.org/10.1080/01621459.1927.10502953)
    """
    # A published mean over runs need not be a whole count; the nearest one is.
    successes = round(accuracy * num_examples)
    interval = stats.binomtest(successes, num_examples).proportion_ci(
        _CONFIDENCE_LEVEL, method="wilson"
    )
    return float(interval.low), float(interval.high)
