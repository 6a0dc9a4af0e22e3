import sys
import types

import numpy as np
import pytest
from skimage import data

from modelyard.evaluation.denoising import CLASSICAL, denoise_by_block_matching
from modelyard.evaluation.pictures import psnr

_PLAIN = ("non-local means", "wavelets", "total variation")


def _noisy(picture, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, picture.shape)
    return (picture + noise).astype("float32")


@pytest.mark.parametrize("name", _PLAIN)
@pytest.mark.parametrize("sigma", [15, 50])
@pytest.mark.parametrize("channels", [1, 3])
def test_denoisers_remove_noise(name, sigma, channels):
    # Not among the photographs on which the constants were chosen.
    picture = data.chelsea()[60:188, 120:248, :channels]
    noisy = _noisy(picture, sigma)
    result = CLASSICAL[name](noisy, sigma)
    assert result.dtype == np.float32
    assert result.shape == picture.shape
    assert result.min() >= 0
    assert result.max() <= 255
    gain = psnr(picture, result) - psnr(picture, noisy.clip(0, 255))
    assert gain > (4 if sigma == 15 else 9)


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 3), (1, 7, 1), (5, 9, 3), (14, 13, 1), (15, 64, 3)]
)
def test_small_pictures_do_not_fail(name, shape):
    noisy = _noisy(np.full(shape, 128), 25)
    result = CLASSICAL[name](noisy, 25)
    assert result.shape == shape
    assert np.isfinite(result).all()


@pytest.mark.parametrize("name", CLASSICAL)
def test_without_noise_pictures_are_only_clipped(name):
    picture = np.linspace(-5, 260, 20 * 20, dtype="float32").reshape(20, 20, 1)
    result = CLASSICAL[name](picture, 0)
    np.testing.assert_allclose(result, picture.clip(0, 255), atol=1e-4)


@pytest.mark.parametrize("name", CLASSICAL)
def test_bad_arguments_are_named(name):
    with pytest.raises(ValueError, match=r"`noisy` .*shape=\(4, 4\)"):
        CLASSICAL[name](np.zeros((4, 4), "float32"), 25)
    with pytest.raises(ValueError, match=r"`sigma` .*sigma=-1"):
        CLASSICAL[name](np.zeros((4, 4, 1), "float32"), -1)


@pytest.mark.parametrize(("channels", "name"), [(1, "bm3d"), (3, "bm3d_rgb")])
def test_block_matching_passes_pixels_and_noise_in_units_of_the_peak(
    monkeypatch, channels, name
):
    seen = []

    def denoise(pixels, level):
        seen.append((pixels.shape, float(pixels.max()), level))
        return pixels.astype("float64")

    monkeypatch.setitem(sys.modules, "bm3d", types.SimpleNamespace(**{name: denoise}))
    noisy = np.full((16, 17, channels), 127.5, "float32")
    result = denoise_by_block_matching(noisy, 51)
    shape = (16, 17) if channels == 1 else (16, 17, 3)
    assert seen == [(shape, 0.5, pytest.approx(0.2))]
    np.testing.assert_allclose(result, noisy, atol=1e-4)
    assert result.dtype == np.float32
    # The package would crash.
    small = np.zeros((15, 40, channels), "float32")
    denoise_by_block_matching(small, 51)
    assert len(seen) == 1
