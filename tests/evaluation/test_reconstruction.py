import json

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import r2_score

from modelyard.evaluation.reconstruction import reconstruction_metrics


def _images(count=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 5, 4, 3)).astype("uint8")


def _with_noise(images):
    noise = np.random.default_rng(1).normal(size=images.shape)
    # Of different size in each image: the mean of PSNRs is no PSNR of the mean.
    scales = np.geomspace(1, 60, len(images)).reshape(-1, 1, 1, 1)
    return (images + scales * noise).astype("float32")


def test_metrics_agree_with_their_definitions():
    originals = _images()
    noisy = _with_noise(originals)
    metrics = reconstruction_metrics(originals, noisy)
    x, y = originals / 255.0, noisy / 255.0
    assert metrics["num_examples"] == 6
    assert metrics["mean_squared_error"] == pytest.approx(
        np.mean((x - y) ** 2), rel=1e-5
    )
    ratios = [
        peak_signal_noise_ratio(image, other, data_range=1)
        for image, other in zip(x, y, strict=True)
    ]
    assert metrics["psnr"] == pytest.approx(np.mean(ratios), rel=1e-5)
    expected = r2_score(
        x.reshape(6, -1), y.reshape(6, -1), multioutput="variance_weighted"
    )
    assert metrics["explained_variance"] == pytest.approx(expected, rel=1e-5)


def test_mean_image_explains_nothing():
    originals = _images()
    mean = np.broadcast_to(originals.mean(axis=0), originals.shape)
    metrics = reconstruction_metrics(originals, mean)
    assert metrics["explained_variance"] == pytest.approx(0, abs=1e-5)


def test_exact_reconstructions_get_the_highest_values():
    originals = _images()
    assert reconstruction_metrics(originals, originals.astype("float64")) == {
        "num_examples": 6,
        "mean_squared_error": 0.0,
        "psnr": 100.0,
        "explained_variance": 1.0,
    }


def test_values_out_of_range_are_not_clipped():
    white = np.full((1, 2, 2, 1), 255)
    metrics = reconstruction_metrics(white, white + 51)
    assert metrics["mean_squared_error"] == pytest.approx(0.04)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(0.04))


def test_originals_without_variance_are_explained_by_exact_copies_only():
    originals = np.repeat(_images(1), 3, axis=0)
    assert reconstruction_metrics(originals, originals)["explained_variance"] == 1
    metrics = reconstruction_metrics(originals, originals + 1.0)
    assert metrics["explained_variance"] == 0


def test_metrics_are_json():
    metrics = reconstruction_metrics(_images(), _with_noise(_images()))
    assert json.loads(json.dumps(metrics)) == metrics


_GOOD = np.zeros((2, 3, 3, 1))


@pytest.mark.parametrize(
    ("originals", "reconstructions", "message"),
    [
        (_GOOD[0], _GOOD[0], r"`originals` must have the shape.*shape=\(3, 3, 1\)"),
        (_GOOD[:0], _GOOD[:0], r"at least one example.*\(0, 3, 3, 1\)"),
        (_GOOD, _GOOD[:1], r"`reconstructions` must have .*\(2, 3, 3, 1\).*\(1, 3"),
        (_GOOD > 0, _GOOD, r"`originals` must be integers or floating.*bool"),
        (_GOOD, _GOOD * 1j, r"`reconstructions` must be integers or .*complex128"),
        (_GOOD, _GOOD + np.nan, r"`reconstructions` must be finite.*2 images"),
        (_GOOD + 256, _GOOD, r"`originals` must be in \[0, 255\].*256\.0 to 256\.0"),
        (_GOOD - 1, _GOOD, r"`originals` must be in \[0, 255\].*-1\.0 to -1\.0"),
    ],
)
def test_invalid_images_are_refused(originals, reconstructions, message):
    with pytest.raises(ValueError, match=message):
        reconstruction_metrics(originals, reconstructions)
