"""Classical denoisers, the baselines of learned ones.

Each is told the true noise level. The constants were chosen on white Gaussian noise
with standard deviations of 10 to 50 over crops of the photographs `camera`, `astronaut`
and `coffee` of scikit-image, in grey and in colour, by the mean PSNR.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
import pywt
from skimage.restoration import (
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
)

_PEAK = 255.0
_STRENGTH = 0.65  # Of non-local means. 0.6 and 0.7 lose less than 0.05 dB.
_WEIGHT = 0.8  # Of total variation. 0.7 loses 0.2 dB, 0.9 loses 0.05 dB.
# Best of db1, db2, db3, db4, sym4 and coif1. By default, scikit-image would stop three
# levels short of the deepest, which loses 0.4 dB.
_WAVELET, _MOST_LEVELS = "sym4", 4
_SMALLEST_BM3D_SIDE = 16  # Pixels; on 8x8, version 4.0 ends the process.


def denoise_non_locally(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Denoises a picture by non-local means: averages pixels with similar patches.

    Patches are 5x5 and at most 6 pixels apart; the cut-off distance `h` is 0.65 times
    `sigma`.

    Args:
        noisy: float32 `(height, width, channels)`, a picture in [0, 255] with noise.
        sigma: Standard deviation of the noise, in the same units; 0 or more.

    Returns:
        float32 of the same shape in [0, 255].

    Raises:
        ValueError: If `noisy` or `sigma` is not as above.

    Reference:
        [Buades et al., 2005](https://doi.org/10.1109/CVPR.2005.38)
    """

    def denoise(pixels: np.ndarray, level: float) -> np.ndarray:
        # With a channel axis of size 1, scikit-image 0.26 returns nonsense.
        is_grey = pixels.shape[-1] == 1
        result = denoise_nl_means(
            pixels[..., 0] if is_grey else pixels,
            patch_size=5,
            patch_distance=6,
            h=_STRENGTH * level,
            sigma=level,
            fast_mode=True,
            channel_axis=None if is_grey else -1,
        )
        return result.reshape(pixels.shape)

    return _apply(denoise, noisy, sigma)


def denoise_by_wavelets(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Denoises a picture by soft thresholds on wavelet coefficients, BayesShrink.

    The wavelet is `sym4`, on up to 4 levels, for each channel alone. A picture with a
    side below 14 is too small for one level and only clipped.

    Args:
        noisy: float32 `(height, width, channels)`, a picture in [0, 255] with noise.
        sigma: Standard deviation of the noise, in the same units; 0 or more.

    Returns:
        float32 of the same shape in [0, 255].

    Raises:
        ValueError: If `noisy` or `sigma` is not as above.

    Reference:
        [Chang et al., 2000](https://doi.org/10.1109/83.862633)
    """

    def denoise(pixels: np.ndarray, level: float) -> np.ndarray:
        deepest = pywt.dwtn_max_level(pixels.shape[:2], _WAVELET)
        if deepest < 1:
            return pixels
        return denoise_wavelet(
            pixels,
            sigma=level,
            wavelet=_WAVELET,
            wavelet_levels=min(deepest, _MOST_LEVELS),
            mode="soft",
            method="BayesShrink",
            convert2ycbcr=False,
            rescale_sigma=True,
            channel_axis=-1,
        )

    return _apply(denoise, noisy, sigma)


def denoise_by_total_variation(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Denoises a picture by Chambolle's minimisation of its total variation.

    The weight is 0.8 times `sigma`, for pixels and noise in [0, 1].

    Args:
        noisy: float32 `(height, width, channels)`, a picture in [0, 255] with noise.
        sigma: Standard deviation of the noise, in the same units; 0 or more.

    Returns:
        float32 of the same shape in [0, 255].

    Raises:
        ValueError: If `noisy` or `sigma` is not as above.

    Reference:
        [Chambolle, 2004](https://doi.org/10.1023/B:JMIV.0000011325.36760.1e)
    """

    def denoise(pixels: np.ndarray, level: float) -> np.ndarray:
        return denoise_tv_chambolle(
            pixels, weight=_WEIGHT * level, eps=1e-4, max_num_iter=400, channel_axis=-1
        )

    return _apply(denoise, noisy, sigma)


def denoise_by_block_matching(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Denoises a picture by BM3D: filters stacks of similar blocks together.

    Needs the package `bm3d` (`pip install bm3d`), which is not a dependency: its
    licence allows only non-commercial use. Three channels are filtered in an opponent
    colour space. A picture with a side below 16 is only clipped.

    Args:
        noisy: float32 `(height, width, channels)`, a picture in [0, 255] with noise;
            1 or 3 channels.
        sigma: Standard deviation of the noise, in the same units; 0 or more.

    Returns:
        float32 of the same shape in [0, 255].

    Raises:
        ImportError: If the package `bm3d` is not installed.
        ValueError: If `noisy` or `sigma` is not as above.

    Reference:
        [Dabov et al., 2007](https://doi.org/10.1109/TIP.2007.901238)
    """
    import bm3d

    def denoise(pixels: np.ndarray, level: float) -> np.ndarray:
        if min(pixels.shape[:2]) < _SMALLEST_BM3D_SIDE:
            return pixels
        if pixels.shape[-1] == 1:
            return bm3d.bm3d(pixels[..., 0], level)[..., None]
        return bm3d.bm3d_rgb(pixels, level)

    return _apply(denoise, noisy, sigma)


CLASSICAL: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "non-local means": denoise_non_locally,
    "wavelets": denoise_by_wavelets,
    "total variation": denoise_by_total_variation,
}
"""The denoisers that can run here by name; `BM3D` is among them if it is installed."""
if importlib.util.find_spec("bm3d") is not None:
    CLASSICAL["BM3D"] = denoise_by_block_matching


def _apply(
    denoise: Callable[[np.ndarray, float], np.ndarray], noisy: np.ndarray, sigma: float
) -> np.ndarray:
    """Checks the arguments and calls a denoiser of pixels in [0, 1]."""
    noisy = np.asarray(noisy)
    if noisy.ndim != 3 or 0 in noisy.shape:
        raise ValueError(
            "`noisy` must have the shape (height, width, channels), with at least one "
            f"pixel. Received: noisy.shape={noisy.shape}"
        )
    if not 0 <= sigma < np.inf:
        raise ValueError(f"`sigma` must be 0 or more. Received: sigma={sigma}")
    pixels = noisy.astype("float32") / np.float32(_PEAK)
    if sigma > 0:
        pixels = denoise(pixels, float(sigma) / _PEAK)
    return (pixels * _PEAK).clip(0, _PEAK).astype("float32")
