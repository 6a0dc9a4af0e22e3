"""Argument checks shared by the builders."""

import difflib
from collections.abc import Iterable, Sequence

import keras

INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "variance_scaling",
    "zeros",
    "ones",
)


def check_task(
    input_shape: tuple[int, ...], num_classes: int, *, min_side: int = 1
) -> None:
    """Raises ValueError unless these describe an image classification task."""
    if len(input_shape) != 3 or not all(_is_positive(size) for size in input_shape):
        raise ValueError(
            "`input_shape` must be three positive integers (height, width, "
            f"channels). Received: input_shape={input_shape}"
        )
    if min(input_shape[:2]) < min_side:
        raise ValueError(
            f"`input_shape` must have a height and a width of at least {min_side}. "
            f"Received: input_shape={input_shape}"
        )
    _check_classes(num_classes)


def check_text_task(vocabulary_size: int, num_classes: int) -> None:
    """Raises ValueError unless these describe a text classification task."""
    # At least padding and the unknown word.
    check_integer("vocabulary_size", vocabulary_size, minimum=2)
    _check_classes(num_classes)


def check_integer(
    argument: str, value: int, *, minimum: int, maximum: int | None = None
) -> None:
    """Raises ValueError unless `value` is an integer in the given range."""
    if type(value) is int and minimum <= value <= (maximum or value):
        return
    rule = f"from {minimum} to {maximum}" if maximum else f"of at least {minimum}"
    raise ValueError(
        f"`{argument}` must be an integer {rule}. Received: {argument}={value}"
    )


def check_sizes(argument: str, sizes: Sequence[int], *, length: int = 0) -> None:
    """Raises ValueError unless `sizes` are (`length`) positive integers."""
    if (
        not sizes
        or (length and len(sizes) != length)
        or not all(_is_positive(size) for size in sizes)
    ):
        raise ValueError(
            f"`{argument}` must be {length or 'one or more'} positive integers. "
            f"Received: {argument}={sizes}"
        )


def check_dropout(dropout: float, argument: str = "dropout") -> None:
    """Raises ValueError unless `dropout` is in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(
            f"`{argument}` must be at least 0 and below 1. "
            f"Received: {argument}={dropout}"
        )


def check_ngrams(ngrams: int, buckets: int) -> None:
    """Raises ValueError unless `ngrams` is 1 to 5 and there is at least one bucket."""
    check_integer("ngrams", ngrams, minimum=1, maximum=5)
    check_integer("buckets", buckets, minimum=1, maximum=2**30)


def check_choice(argument: str, value: str, known: Iterable[str]) -> None:
    """Raises ValueError that lists the known names unless `value` is one of them."""
    known = tuple(known)
    if value in known:
        return
    nearest = difflib.get_close_matches(str(value), known, n=1)
    hint = f' Did you mean "{nearest[0]}"?' if nearest else ""
    names = ", ".join(f'"{name}"' for name in known)
    raise ValueError(
        f"`{argument}` must be one of {names}. Received: {argument}={value!r}.{hint}"
    )


def check_l2(l2: float) -> None:
    """Raises ValueError unless `l2` is at least 0."""
    # `not >=` also rejects NaN.
    if not l2 >= 0:
        raise ValueError(f"`l2` must be at least 0. Received: l2={l2}")


def kernel_options(initializer: str, l2: float) -> dict:
    """Checks both arguments; returns the keyword arguments for a layer's kernel."""
    check_choice("initializer", initializer, INITIALIZERS)
    check_l2(l2)
    return {
        "kernel_initializer": initializer,
        "kernel_regularizer": keras.regularizers.L2(l2) if l2 > 0 else None,
    }


def _is_positive(size: object) -> bool:
    """Whether `size` is a positive integer."""
    return isinstance(size, int) and size > 0


def _check_classes(num_classes: int) -> None:
    """Raises ValueError unless there are at least two classes."""
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            "`num_classes` must be an integer of at least 2. "
            f"Received: num_classes={num_classes}"
        )
