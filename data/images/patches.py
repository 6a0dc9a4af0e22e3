"""Cuts pictures into patches for training."""

import numpy as np
import tensorflow as tf

from modelyard.data.images.checks import check_memory
from modelyard.data.images.picture_sequence import Pictures


def cut_patches(
    pictures: Pictures,
    *,
    size: int,
    stride: int | None = None,
    max_patches: int = 100_000,
    short_side: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Cuts pictures into square patches on a grid.

    The last row and column of the grid are aligned to the border, so that every pixel
    is in a patch. Pictures are read one at a time, and only if a patch of them is kept.

    Args:
        pictures: At least one picture.
        size: Side of a patch in pixels, at least 1; the largest side of all pictures
            if that is smaller. Smaller pictures are extended by mirroring.
        stride: Distance between patches in pixels, in [1, size]; `size` if `None`.
        max_patches: Upper limit on the number of patches, at least 1; a larger grid is
            sampled uniformly.
        short_side: Length to which the shorter side of larger pictures is shrunk
            before they are cut, with an antialiased bilinear filter; at least 1. `None`
            cuts them as they are.
        seed: Seed of the sample.

    Returns:
        uint8 `(n, side, side, channels)`, in the order of the pictures.

    Raises:
        DatasetError: If the patches would need more than half of the free memory, or a
            file cannot be decoded.
        ValueError: If an argument is out of range.
    """
    for argument, value, most in (
        ("size", size, None),
        ("stride", size if stride is None else stride, size),
        ("max_patches", max_patches, None),
        ("short_side", size if short_side is None else short_side, None),
    ):
        if value < 1 or (most is not None and value > most):
            rule = "at least 1" if most is None else "in [1, size]"
            raise ValueError(
                f"`{argument}` must be {rule}. Received: {argument}={value}"
            )
    sizes = _shrunk_sizes(pictures.sizes, short_side)
    side = min(size, int(sizes.max()))
    stride = min(stride or side, side)
    # Patches along each side of each picture.
    steps = 1 + np.ceil(np.maximum(sizes - side, 0) / stride).astype(np.int64)
    ends = np.cumsum(steps.prod(axis=1))
    total = int(ends[-1])
    kept = np.arange(min(total, max_patches))
    if total > max_patches:
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(total, max_patches, replace=False, shuffle=False))
    shape = (len(kept), side, side, pictures.channels)
    check_memory(
        shape,
        "patches",
        f"Lower `max_patches`. Received: max_patches={len(kept)}",
    )

    patches = np.empty(shape, np.uint8)
    position = 0
    owners = np.searchsorted(ends, kept, side="right")
    indices, starts = np.unique(owners, return_index=True)
    for index, cells in zip(indices, np.split(kept, starts[1:]), strict=True):
        picture = _extend(_shrink(pictures[index], sizes[index]), side)
        first_cell = ends[index] - steps[index].prod()
        rows, columns = np.divmod(cells - first_cell, steps[index, 1])
        tops = np.minimum(rows * stride, picture.shape[0] - side)
        lefts = np.minimum(columns * stride, picture.shape[1] - side)
        for top, left in zip(tops, lefts, strict=True):
            patches[position] = picture[top : top + side, left : left + side]
            position += 1
    return patches


def _shrunk_sizes(sizes, short_side):
    """The sizes of pictures after shrinking."""
    if short_side is None:
        return sizes
    shorter = sizes.min(axis=1, keepdims=True)
    shrunk = np.rint(sizes * short_side / shorter).astype(np.int64)
    return np.where(shorter > short_side, shrunk, sizes)


def _shrink(picture, size):
    """Shrinks a picture to `(height, width)`."""
    if picture.shape[:2] == tuple(size):
        return picture
    small = tf.image.resize(picture, size, antialias=True)
    return np.rint(small.numpy()).astype(np.uint8)


def _extend(picture, side):
    """Mirrors a picture at its lower and right border until it is large enough."""
    missing = np.maximum(side - np.array(picture.shape[:2]), 0)
    if not missing.any():
        return picture
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
