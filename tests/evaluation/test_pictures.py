import json

import numpy as np
import pytest
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from modelyard.evaluation.pictures import (
    color_metrics,
    luminance,
    picture_metrics,
    psnr,
    psnr_of_each,
    ssim,
)


def _picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def _with_noise(picture, scale=20):
    noise = np.random.default_rng(1).normal(size=picture.shape)
    return (picture + scale * noise).astype("float32")


def test_luminance_is_that_of_studio_video():
    pixels = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], "uint8")
    # As given for primaries by ITU-R BT.601.
    np.testing.assert_allclose(
        luminance(pixels)[:, 0], [16, 235, 81.481, 40.966], atol=1e-3
    )
    assert luminance(_picture(2, 5, 4, 3)).shape == (2, 5, 4, 1)


def test_luminance_of_grey_is_unchanged():
    grey = _picture(5, 4, 1)
    assert luminance(grey).dtype == np.float32
    np.testing.assert_array_equal(luminance(grey), grey)


@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_metrics_of_a_picture_agree_with_their_definitions(channels, border):
    truth = _picture(24, 20, channels)
    result = _with_noise(truth)
    inner = slice(border, -border or None)
    x, y = (np.float64(p[inner, inner]) for p in (truth, result))
    assert psnr(truth, result, border=border) == pytest.approx(
        peak_signal_noise_ratio(x, y, data_range=255)
    )
    expected = structural_similarity(
        x,
        y,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1,
    )
    assert ssim(truth, result, border=border) == pytest.approx(expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (4, 5), (10, 40), (11, 11)])
def test_small_pictures_have_a_similarity(size):
    truth = _picture(*size, 3)
    assert ssim(truth, truth) == 1
    assert psnr(truth, truth) == pytest.approx(100)
    assert -1 <= ssim(truth, _with_noise(truth)) < 1


def test_similarity_of_one_pixel_compares_means():
    truth, result = np.full((1, 1, 1), 100.0), np.full((1, 1, 1), 50.0)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 50 + c1) / (100**2 + 50**2 + c1)
    assert ssim(truth, result) == pytest.approx(expected)


def test_pictures_of_different_sizes_are_averaged():
    truths = [_picture(12, 15, 3), _picture(20, 11, 3), _picture(30, 30, 3)]
    scales = (5, 20, 60)
    results = [_with_noise(t, s) for t, s in zip(truths, scales, strict=True)]
    ratios = psnr_of_each(truths, results, border=2)
    assert ratios.shape == (3,)
    metrics = picture_metrics(truths, results, border=2)
    json.dumps(metrics)
    assert metrics["num_examples"] == 3
    assert metrics["psnr"] == pytest.approx(np.mean(ratios))
    similarities = [ssim(*pair, border=2) for pair in zip(truths, results, strict=True)]
    assert metrics["ssim"] == pytest.approx(np.mean(similarities))
    interval = stats.ttest_1samp(ratios, 0).confidence_interval(0.95)
    assert metrics["psnr_interval"] == pytest.approx([interval.low, interval.high])


def test_single_picture_has_no_interval():
    truth = _picture(1, 12, 12, 1)
    assert picture_metrics(truth, truth)["psnr_interval"] is None


def test_color_metrics_agree_with_their_definitions():
    truths = [_picture(9, 7, 3, seed=i) for i in range(3)]
    truths.append(_picture(4, 6, 3))
    results = [_with_noise(t, s) for t, s in zip(truths, (1, 3, 9, 27), strict=True)]
    metrics = color_metrics(truths, results)
    json.dumps(metrics)
    assert metrics["num_examples"] == 4
    assert metrics["psnr"] == pytest.approx(
        psnr_of_each(truths, results).mean(), rel=1e-5
    )
    errors = [np.abs(r - t).mean() / 255 for t, r in zip(truths, results, strict=True)]
    assert metrics["mean_absolute_error"] == pytest.approx(np.mean(errors), rel=1e-5)
    labs = [
        (rgb2lab(truth / 255), rgb2lab(result.clip(0, 255) / 255))
        for truth, result in zip(truths, results, strict=True)
    ]
    differences = [deltaE_ciede2000(*pair).mean() for pair in labs]
    assert metrics["ciede2000"] == pytest.approx(np.mean(differences), rel=1e-3)
    near = [
        np.mean(np.all(np.abs(np.rint(a) - np.rint(b)) <= (2, 4.4, 4.4), axis=-1))
        for a, b in labs
    ]
    assert 0.1 < metrics["accuracy_2pct"] < 0.9
    # A value near a half may be rounded either way.
    assert metrics["accuracy_2pct"] == pytest.approx(np.mean(near), abs=0.01)


def test_order_and_chunks_change_nothing():
    truths = _picture(300, 32, 32, 3)
    results = _with_noise(truths)
    together = color_metrics(truths, results)
    halves = [color_metrics(truths[i::2], results[i::2]) for i in (0, 1)]
    for name in ("ciede2000", "colorfulness", "psnr", "accuracy_2pct"):
        mean = np.mean([half[name] for half in halves])
        assert together[name] == pytest.approx(mean, rel=1e-6)


def test_colorfulness_is_that_of_the_paper():
    # Half red, half green: red - green is 255 and -255, the other opponent 127.5.
    picture = np.zeros((1, 2, 2, 3), "uint8")
    picture[0, 0, :, 0] = picture[0, 1, :, 1] = 255
    metrics = color_metrics(picture, picture)
    assert metrics["colorfulness"] == pytest.approx(255 + 0.3 * 127.5)
    assert metrics["colorfulness_ratio"] == 1
    assert metrics["accuracy_2pct"] == 1
    assert metrics["ciede2000"] == 0


def test_grey_results_have_no_colour():
    truth = _picture(2, 6, 6, 3)
    grey = np.repeat(truth[..., :1], 3, axis=-1)
    assert color_metrics(truth, grey)["colorfulness_ratio"] == 0
    assert color_metrics(grey, truth)["colorfulness_ratio"] is None


@pytest.mark.parametrize(
    ("truth", "result", "border", "message"),
    [
        (np.zeros((4, 4)), np.zeros((4, 4)), 0, r"`truth` .*shape=\(4, 4\)"),
        (np.zeros((4, 0, 3)), np.zeros((4, 0, 3)), 0, r"`truth` .*\(4, 0, 3\)"),
        (np.zeros((4, 4, 3)), np.zeros((4, 5, 3)), 0, r"`result` .*\(4, 5, 3\)"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3), bool), 0, "`result` .*=bool"),
        (np.zeros((4, 4, 3)), np.full((4, 4, 3), np.nan), 0, "48 values of NaN"),
        (np.full((4, 4, 3), 256), np.zeros((4, 4, 3)), 0, "`truth` .*256 to 256"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), 2, "`border` .*border=2"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), -1, "`border` .*border=-1"),
    ],
)
def test_bad_pictures_are_named(truth, result, border, message):
    for function in (psnr, ssim):
        with pytest.raises(ValueError, match=message):
            function(truth, result, border=border)


def test_other_bad_arguments_are_named():
    picture = _picture(2, 4, 4, 1)
    with pytest.raises(ValueError, match=r"Received: len\(truths\)=2, .*=1"):
        picture_metrics(picture, picture[:1])
    with pytest.raises(ValueError, match=r"at least one\. .*len\(truths\)=0"):
        color_metrics([], [])
    with pytest.raises(ValueError, match=r"`truths` must have 3 .*\(4, 4, 1\)"):
        color_metrics(picture, picture)
    with pytest.raises(ValueError, match=r"`pixels` .*\(4, 2\)"):
        luminance(np.zeros((4, 2)))
