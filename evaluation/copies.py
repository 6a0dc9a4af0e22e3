"""Copies: how close generated images come to training images."""

import numpy as np

from modelyard.evaluation.generation import squared_distances

_BATCH = 1000


def nearest_images(
    samples: np.ndarray, training: np.ndarray, *, batch: int = _BATCH
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the training image closest to each generated image.

    Args:
        samples: Generated images, uint8 `(n, ...)`, such as
            `(n, height, width, channels)`; at least one.
        training: Training images, uint8 `(m, ...)` of the same size; at least one.
        batch: Images of each set that are compared at once, which bounds the memory.

    Returns:
        `(indices, distances)`: int64 `(n,)` into `training`, the first one of equally
        close images; and float64 `(n,)`, the Euclidean distances of the pixels in
        [0, 255], which are 0 only for exact copies.

    Raises:
        ValueError: If shapes or dtypes are not as above or `batch` is below 1.
    """
    samples, training = np.asarray(samples), np.asarray(training)
    _check_images(samples, training)
    if batch < 1:
        raise ValueError(f"`batch` must be at least 1. Received: batch={batch}")
    return _find_nearest(samples, training, batch)


def copy_ratios(
    samples: np.ndarray, training: np.ndarray, *, batch: int = _BATCH
) -> np.ndarray:
    """Compares distances to the training images with those between training images.

    A ratio is the distance from a generated image to its nearest training image,
    divided by the distance from that training image to the nearest different one.
    Values near 0 show copies; new images of the same kind get values around 1.

    Args:
        samples: Generated images, as in `nearest_images`.
        training: Training images, at least two different ones.
        batch: As in `nearest_images`.

    Returns:
        float64 `(n,)`, 0 or more.

    Raises:
        ValueError: If an argument is not as above.
    """
    samples, training = np.asarray(samples), np.asarray(training)
    indices, distances = nearest_images(samples, training, batch=batch)
    found, positions = np.unique(indices, return_inverse=True)
    _, spacings = _find_nearest(training[found], training, batch, skip_equal=True)
    if not np.isfinite(spacings).all():
        raise ValueError(
            "`training` must hold at least two different images. "
            f"Received: {len(training)} equal images"
        )
    return distances / spacings[positions]


def _find_nearest(
    images: np.ndarray, training: np.ndarray, batch: int, *, skip_equal: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the nearest training images, optionally unequal ones."""
    best = np.full(len(images), np.inf)
    indices = np.zeros(len(images), "int64")
    for start in range(0, len(training), batch):
        points = _flatten(training[start : start + batch])
        for first in range(0, len(images), batch):
            rows = slice(first, first + batch)
            # Whole numbers below 2**53, hence exact.
            squares = squared_distances(_flatten(images[rows]), points)
            if skip_equal:
                squares[squares == 0] = np.inf
            nearest, smallest = squares.argmin(axis=1), squares.min(axis=1)
            is_closer = smallest < best[rows]
            indices[rows] = np.where(is_closer, start + nearest, indices[rows])
            best[rows] = np.where(is_closer, smallest, best[rows])
    return indices, np.sqrt(best)


def _flatten(images: np.ndarray) -> np.ndarray:
    """Pixels of images, float64 `(n, pixels)`."""
    return images.reshape(len(images), -1).astype("float64")


def _check_images(samples: np.ndarray, training: np.ndarray) -> None:
    """Checks generated images and training images."""
    for name, images in (("samples", samples), ("training", training)):
        if images.dtype != np.uint8 or images.ndim < 2 or not images.size:
            raise ValueError(
                f"`{name}` must be uint8 images (n, ...), at least one. "
                f"Received: {name}.shape={images.shape}, {name}.dtype={images.dtype}"
            )
    if samples.shape[1:] != training.shape[1:]:
        raise ValueError(
            f"`samples` must have the size of `training`, {training.shape[1:]}. "
            f"Received: samples.shape={samples.shape}"
        )
