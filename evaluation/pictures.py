"""Metrics of pictures that were restored, enlarged or coloured."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

_PEAK = 255.0
_MIN_ERROR = 1e-10  # Of a mean squared error in [0, 1], so that the PSNR stays finite.
_CONFIDENCE_LEVEL = 0.95
_LUMA = np.array([65.481, 128.553, 24.966], "float32") / np.float32(_PEAK)
_WINDOW = 11  # Pixels; the support of the Gaussian window with a sigma of 1.5.
# 2% of the range of L*, [0, 100], and of a* and b*, [-110, 110].
_LAB_TOLERANCE = np.array([2.0, 4.4, 4.4], "float32")
_CHUNK_PIXELS = 2**18  # CIEDE2000 makes about 20 arrays of this size.


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Computes the luminance on which super-resolution is compared.

    It is the Y of ITU-R BT.601 in studio range, like the first channel of MATLAB's
    `rgb2ycbcr` for floating-point images: black is 16, white is 235. Metrics on it
    still use a peak of 255.

    Args:
        pixels: Integer or floating `(..., 3)` or `(..., 1)` in [0, 255].

    Returns:
        float32 `(..., 1)`. Grey pixels are returned as they are, in [0, 255].

    Raises:
        ValueError: If there are neither 1 nor 3 channels.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 0 or pixels.shape[-1] not in (1, 3):
        raise ValueError(
            "`pixels` must have 1 or 3 channels in the last dimension. "
            f"Received: pixels.shape={pixels.shape}"
        )
    values = pixels.astype("float32")
    return values if values.shape[-1] == 1 else (16 + values @ _LUMA)[..., None]


def psnr(truth: np.ndarray, result: np.ndarray, *, border: int = 0) -> float:
    """Computes the peak signal-to-noise ratio of a picture.

    Args:
        truth: Integer or floating `(height, width, channels)` in [0, 255].
        result: The same shape. Values outside [0, 255] are not clipped: their errors
            count in full.
        border: Pixels that are left out on all four sides.

    Returns:
        The ratio in dB for a peak of 255. The mean squared error of pixels in [0, 1]
        counts as at least 1e-10, so that an exact result gets 100 dB.

    Raises:
        ValueError: If shapes, dtypes or values are not as above, or `border` leaves
            no pixel.
    """
    truth, result = _check(truth, result, border)
    error = np.square((result - truth) / _PEAK).mean()
    return float(-10 * np.log10(max(error, _MIN_ERROR)))


def ssim(truth: np.ndarray, result: np.ndarray, *, border: int = 0) -> float:
    """Computes the structural similarity of a picture, averaged over channels.

    The window is a Gaussian with a sigma of 1.5 on 11x11 pixels; covariances are not
    corrected for the sample size. A picture with a side below 11 is compared in a
    square window with equal weights, whose side is the largest odd number that fits.
    A window of one pixel compares only brightness.

    Args:
        truth: Integer or floating `(height, width, channels)` in [0, 255].
        result: The same shape.
        border: Pixels that are left out on all four sides.

    Returns:
        The similarity, at most 1, which is that of equal pictures.

    Raises:
        ValueError: If shapes, dtypes or values are not as above, or `border` leaves
            no pixel.

    Reference:
        [Wang et al., 2004](https://doi.org/10.1109/TIP.2003.819861)
    """
    truth, result = _check(truth, result, border)
    side = min(truth.shape[:2])
    window = min(_WINDOW, side - 1 + side % 2)
    similarity = structural_similarity(
        truth,
        result,
        data_range=_PEAK,
        channel_axis=-1,
        gaussian_weights=window == _WINDOW,
        sigma=1.5,
        win_size=window,
        use_sample_covariance=False,
    )
    return float(similarity)


def psnr_of_each(
    truths: Sequence[np.ndarray], results: Sequence[np.ndarray], *, border: int = 0
) -> np.ndarray:
    """Computes the PSNR of each picture.

    Args:
        truths: The true pictures, as in `psnr`. Sizes may differ between pictures.
        results: As many pictures of the same sizes.
        border: Pixels that are left out on all four sides.

    Returns:
        float64 `(n,)`, in dB.

    Raises:
        ValueError: If the numbers of pictures differ or a pair is not as in `psnr`.
    """
    _check_counts(truths, results)
    pairs = zip(truths, results, strict=True)
    return np.array([psnr(truth, result, border=border) for truth, result in pairs])


def picture_metrics(
    truths: Sequence[np.ndarray], results: Sequence[np.ndarray], *, border: int = 0
) -> dict:
    """Computes PSNR and SSIM per picture and averages them.

    Args:
        truths: The true pictures, integer or floating `(height, width, channels)` in
            [0, 255]. Sizes may differ between pictures.
        results: As many pictures of the same sizes.
        border: Pixels that are left out on all four sides.

    Returns:
        A JSON-ready dict: `num_examples`; `psnr` in dB and `ssim`, means over pictures;
        and `psnr_interval`, `[low, high]`, the 95% interval of the mean by Student's t,
        or `None` for a single picture.

    Raises:
        ValueError: If the numbers of pictures differ or a pair is not as in `psnr`.
    """
    ratios = psnr_of_each(truths, results, border=border)
    pairs = zip(truths, results, strict=True)
    similarities = [ssim(truth, result, border=border) for truth, result in pairs]
    return {
        "num_examples": len(ratios),
        "psnr": float(ratios.mean()),
        "ssim": float(np.mean(similarities)),
        "psnr_interval": _mean_interval(ratios),
    }


def color_metrics(truths: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> dict:
    """Computes how close the colours of pictures come to the true ones.

    `accuracy_2pct` follows the code that Nazeri et al. published: a pixel counts if its
    L*, a* and b*, rounded to whole numbers, all lie within 2% of their ranges, [0, 100]
    for L* and [-110, 110] for a* and b*, of the true ones.

    Args:
        truths: The true pictures, integer or floating `(height, width, 3)` in [0, 255].
            Sizes may differ between pictures.
        results: As many pictures of the same sizes. For CIEDE2000, colourfulness and
            accuracy, values are clipped to [0, 255].

    Returns:
        A JSON-ready dict of means over pictures: `num_examples`; `ciede2000`, the mean
        colour difference of the pixels (about 1 is just noticeable); `colorfulness` of
        the results; `colorfulness_ratio`, the mean colourfulness of the results as a
        share of that of the truths, `None` if those are grey; `psnr` on RGB in dB;
        `mean_absolute_error` of RGB as a share of 255; and `accuracy_2pct`, a share of
        pixels.

    Raises:
        ValueError: If the numbers of pictures differ, a pair is not as in `psnr`, or
            there are not 3 channels.

    References:
        - [Sharma et al., 2005](https://doi.org/10.1002/col.20070), CIEDE2000
        - [Hasler and Süsstrunk, 2003](https://doi.org/10.1117/12.477378), colourfulness
        - [Nazeri et al., 2018](https://arxiv.org/abs/1803.05400), accuracy
    """
    _check_counts(truths, results)
    parts = [_color_values(*chunk) for chunk in _chunks(truths, results)]
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    means = {name: float(array.mean()) for name, array in values.items()}
    wanted = means.pop("true_colorfulness")
    return {
        "num_examples": len(truths),
        **means,
        "colorfulness_ratio": means["colorfulness"] / wanted if wanted > 0 else None,
    }


def _color_values(truth: np.ndarray, result: np.ndarray) -> dict[str, np.ndarray]:
    """The colour metrics of each of several pictures `(n, height, width, 3)`."""
    pixels = (1, 2)
    channels = (1, 2, 3)
    errors = (result - truth) / np.float32(_PEAK)
    squares = np.square(errors).mean(axis=channels, dtype="float64")
    result = result.clip(0, _PEAK)
    true_lab, lab = rgb2lab(truth / _PEAK), rgb2lab(result / _PEAK)
    is_near = np.abs(np.rint(lab) - np.rint(true_lab)) <= _LAB_TOLERANCE
    difference = deltaE_ciede2000(true_lab, lab)
    return {
        "ciede2000": difference.mean(axis=pixels, dtype="float64"),
        "colorfulness": _colorfulness(result),
        "true_colorfulness": _colorfulness(truth),
        "psnr": -10 * np.log10(np.maximum(squares, _MIN_ERROR)),
        "mean_absolute_error": np.abs(errors).mean(axis=channels, dtype="float64"),
        "accuracy_2pct": is_near.all(axis=-1).mean(axis=pixels),
    }


def _colorfulness(pixels: np.ndarray) -> np.ndarray:
    """The colourfulness M(3) of Hasler and Süsstrunk, for each picture."""
    red, green, blue = np.moveaxis(pixels.astype("float64"), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread = np.hypot(*opponents.std(axis=(2, 3)))
    return spread + 0.3 * np.hypot(*opponents.mean(axis=(2, 3)))


def _chunks(
    truths: Sequence[np.ndarray], results: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stacks neighbouring pictures of one size, float32, a few at a time."""
    pairs = zip(truths, results, strict=True)
    for shape, group in itertools.groupby(pairs, lambda pair: np.shape(pair[0])):
        rest = list(group)
        size = max(1, _CHUNK_PIXELS // max(1, int(np.prod(shape[:2]))))
        for start in range(0, len(rest), size):
            checked = [_check(*pair, 0) for pair in rest[start : start + size]]
            truth, result = (np.stack(side) for side in zip(*checked, strict=True))
            if truth.shape[-1] != 3:
                raise ValueError(
                    "`truths` must have 3 channels. "
                    f"Received: a picture of shape {truth.shape[1:]}"
                )
            yield truth.astype("float32"), result.astype("float32")


def _mean_interval(values: np.ndarray) -> list[float] | None:
    """The 95% interval of a mean, by Student's t."""
    if len(values) < 2:
        return None
    error = values.std(ddof=1) / np.sqrt(len(values))
    margin = stats.t.ppf((1 + _CONFIDENCE_LEVEL) / 2, len(values) - 1) * error
    return [float(values.mean() - margin), float(values.mean() + margin)]


def _check_counts(truths: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
    """Checks that each true picture has its result."""
    if not len(truths) or len(truths) != len(results):
        raise ValueError(
            "`truths` and `results` must hold equally many pictures, at least one. "
            f"Received: len(truths)={len(truths)}, len(results)={len(results)}"
        )


def _check(
    truth: np.ndarray, result: np.ndarray, border: int
) -> tuple[np.ndarray, np.ndarray]:
    """Checks a picture and its result; returns both as float64 without the border."""
    truth, result = np.asarray(truth), np.asarray(result)
    if truth.ndim != 3 or 0 in truth.shape:
        raise ValueError(
            "`truth` must have the shape (height, width, channels), with at least one "
            f"pixel. Received: truth.shape={truth.shape}"
        )
    if result.shape != truth.shape:
        raise ValueError(
            f"`result` must have the shape of `truth`, {truth.shape}. "
            f"Received: result.shape={result.shape}"
        )
    for name, pixels in (("truth", truth), ("result", result)):
        if pixels.dtype.kind not in "iuf":
            raise ValueError(
                f"`{name}` must be integers or floating point. "
                f"Received: {name}.dtype={pixels.dtype}"
            )
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            bad = int(np.sum(~np.isfinite(pixels)))
            raise ValueError(
                f"`{name}` must be finite. Received: {bad} values of NaN or infinity"
            )
    if truth.min() < 0 or truth.max() > _PEAK:
        raise ValueError(
            f"`truth` must be in [0, 255]. Received: {truth.min()} to {truth.max()}"
        )
    if border < 0 or 2 * border >= min(truth.shape[:2]):
        raise ValueError(
            "`border` must be 0 or more and leave at least one pixel. "
            f"Received: border={border} for truth.shape={truth.shape}"
        )
    inner = slice(border, -border or None)
    return (
        truth[inner, inner].astype("float64"),
        result[inner, inner].astype("float64"),
    )
