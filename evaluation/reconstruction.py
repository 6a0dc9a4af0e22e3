"""Metrics of reconstructed images."""

import numpy as np

_PEAK = 255.0
_MIN_ERROR = 1e-10  # Of a mean squared error, so that the PSNR stays finite.


def reconstruction_metrics(originals: np.ndarray, reconstructions: np.ndarray) -> dict:
    """Computes how close reconstructions come to their originals.

    Args:
        originals: Pixels, integer or floating `(n, height, width, channels)` in
            [0, 255].
        reconstructions: Pixels of the same shape, integer or floating. Values outside
            [0, 255] are not clipped: their errors count in full.

    Returns:
        A JSON-ready dict: `num_examples`; `mean_squared_error` of pixels scaled to
        [0, 1]; `psnr`, the peak signal-to-noise ratio in dB, computed per image and
        averaged, where the mean squared error of an image counts as at least 1e-10, so
        that an exact reconstruction gets 100 dB; and `explained_variance`, 1 minus the
        ratio of the mean squared error to the variance around the mean image of
        `originals`. If the originals are all the same, it is 1 for exact
        reconstructions and 0 otherwise.

    Raises:
        ValueError: If shapes, dtypes or values are not as above.
    """
    originals, reconstructions = _check(originals, reconstructions)
    errors = _mean_squares(reconstructions - originals)
    error = float(errors.mean())
    mean_image = originals.mean(axis=0, dtype="float64").astype("float32")
    variance = float(_mean_squares(originals - mean_image).mean())
    # Rounding alone gives the mean of identical images a variance of about 1e-15.
    unexplained = error / variance if variance > _MIN_ERROR else float(error > 0)
    return {
        "num_examples": len(originals),
        "mean_squared_error": error,
        "psnr": float(-10 * np.log10(np.maximum(errors, _MIN_ERROR)).mean()),
        "explained_variance": 1 - unexplained,
    }


def _mean_squares(differences: np.ndarray) -> np.ndarray:
    """Means over the pixels of each image, float64 `(n,)`."""
    return np.square(differences).mean(axis=(1, 2, 3), dtype="float64")


def _check(
    originals: np.ndarray, reconstructions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Checks images and their reconstructions; returns both scaled to [0, 1]."""
    originals, reconstructions = np.asarray(originals), np.asarray(reconstructions)
    if originals.ndim != 4 or 0 in originals.shape:
        raise ValueError(
            "`originals` must have the shape (examples, height, width, channels), with "
            "at least one example and one pixel. "
            f"Received: originals.shape={originals.shape}"
        )
    if reconstructions.shape != originals.shape:
        raise ValueError(
            f"`reconstructions` must have the shape of `originals`, {originals.shape}. "
            f"Received: reconstructions.shape={reconstructions.shape}"
        )
    for name, pixels in (
        ("originals", originals),
        ("reconstructions", reconstructions),
    ):
        is_floating = np.issubdtype(pixels.dtype, np.floating)
        if not is_floating and not np.issubdtype(pixels.dtype, np.integer):
            raise ValueError(
                f"`{name}` must be integers or floating point. "
                f"Received: {name}.dtype={pixels.dtype}"
            )
        if not np.isfinite(pixels).all():
            bad = int(np.sum(~np.isfinite(pixels).all(axis=(1, 2, 3))))
            raise ValueError(
                f"`{name}` must be finite. Received: {bad} images with NaN or infinity"
            )
    if originals.min() < 0 or originals.max() > _PEAK:
        raise ValueError(
            "`originals` must be in [0, 255]. "
            f"Received: {originals.min()} to {originals.max()}"
        )
    return _scale(originals), _scale(reconstructions)


def _scale(pixels: np.ndarray) -> np.ndarray:
    """Pixels in units of the peak, float32."""
    return pixels.astype("float32") / np.float32(_PEAK)
