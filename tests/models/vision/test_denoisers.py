"""Tests of the networks that remove noise."""

import keras
import numpy as np
import pytest

from modelyard.models import (
    build_blind_denoiser,
    build_denoising_autoencoder,
    build_residual_denoiser,
)
from modelyard.models.vision.denoisers import NoiseLevel

SIZES = [(1, 1), (5, 7), (8, 9), (1, 6)]


def noise(height, width, channels=3, low=0, high=255):
    rng = np.random.default_rng(0)
    return rng.uniform(low, high, (2, height, width, channels)).astype("float32")


def smooth_pictures(count, height, width):
    """Slopes in different directions for each picture and channel."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    slopes = np.random.default_rng(0).uniform(-80, 80, (2, count, 1, 1, 3))
    return 128 + slopes[0] * y[..., None] + slopes[1] * x[..., None]


@pytest.fixture(scope="module")
def autoencoder():
    return build_denoising_autoencoder(3, widths=(4, 6), code_filters=3)


@pytest.mark.parametrize("downscale", [1, 2, 3])
def test_untrained_residual_denoiser_returns_its_input(downscale):
    model = build_residual_denoiser(3, depth=4, width=4, downscale=downscale)
    for size in SIZES:
        pixels = noise(*size, low=-60, high=300)
        answer = model(pixels)
        assert answer.dtype == "float32"
        np.testing.assert_allclose(answer, pixels, atol=1e-3)


@pytest.mark.usefixtures("mixed_bfloat16")
def test_residual_denoiser_keeps_pixels_exact_under_mixed_bfloat16():
    model = build_residual_denoiser(1, depth=4, width=4, noise_map=True)
    pixels = noise(5, 7, 1)
    answer = model({"pixels": pixels, "noise_level": np.array([9, 9])})
    np.testing.assert_allclose(answer, pixels, atol=1e-3)


@pytest.mark.parametrize("shortcuts", [True, False])
def test_depth_and_downscale_are_those_asked_for(shortcuts):
    model = build_residual_denoiser(
        3, depth=6, width=4, downscale=3, shortcuts=shortcuts
    )
    norms = [w for w in model.weights if w.name == "moving_mean"]
    assert len(norms) == (0 if shortcuts else 4)
    kernels = [w.shape for w in model.trainable_weights if w.name == "kernel"]
    assert kernels == [(3, 3, 27, 4), *[(3, 3, 4, 4)] * 4, (3, 3, 4, 27)]


@pytest.mark.parametrize("name", ["residual_denoiser", "residual_denoiser_full_size"])
def test_shifted_picture_gets_shifted_answer(shared, name):
    # Sub-images that were put back elsewhere would not move along.
    model = shared(name)
    pixels = noise(24, 24)
    moved = np.roll(pixels, (2, 4), axis=(1, 2))
    expected = np.roll(model(pixels), (2, 4), axis=(1, 2))
    inner = (slice(None), slice(10, 16), slice(12, 16))
    assert np.ptp((expected - moved)[inner]) > 1
    np.testing.assert_allclose(model(moved)[inner], expected[inner], atol=0.01)


def test_noise_map_changes_the_answer_for_its_picture_alone(shared):
    model = shared("noise_map_denoiser")
    pixels = noise(5, 7)
    low, mixed = (
        model({"pixels": pixels, "noise_level": np.array(levels, "float32")}).numpy()
        for levels in ([5, 5], [50, 5])
    )
    assert np.abs(low[0] - mixed[0]).max() > 1
    np.testing.assert_allclose(low[1], mixed[1], atol=1e-3)


def test_noise_map_is_the_level_as_if_pixels_were_in_0_to_1(shared):
    model = shared("noise_map_denoiser")
    joined = keras.Model(model.input, model.get_layer("with_noise_map").output)
    levels = np.array([0, 51], "float32")
    maps = joined({"pixels": noise(5, 7), "noise_level": levels})
    assert maps.shape == (2, 3, 4, 13)
    np.testing.assert_allclose(maps[..., -1].numpy().min((1, 2)), [0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(maps[..., -1].numpy().max((1, 2)), [0, 0.2], rtol=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (65, 91)])
def test_noise_level_of_smooth_pictures_is_found(size):
    sigmas = np.array([2, 10, 25, 50])
    normal = np.random.default_rng(1).normal(size=(4, *size, 3))
    noisy = smooth_pictures(4, *size) + sigmas[:, None, None, None] * normal
    estimates = NoiseLevel()(noisy.astype("float32"))
    assert estimates.shape == (4,)
    np.testing.assert_allclose(estimates, sigmas, rtol=0.1)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_pictures_with_a_side_of_1_have_no_noise(size):
    np.testing.assert_array_equal(NoiseLevel()(noise(*size)), [0, 0])


def test_smooth_pictures_have_no_noise():
    pictures = smooth_pictures(3, 32, 32).astype("float32")
    np.testing.assert_allclose(NoiseLevel()(pictures), 0, atol=1e-3)


def test_blind_denoiser_uses_the_estimate_and_shares_the_weights(build_filled):
    denoiser = build_filled("noise_map_denoiser")
    blind = build_blind_denoiser(denoiser)
    assert [w.path for w in blind.weights] == [w.path for w in denoiser.weights]
    pixels = noise(9, 12)
    levels = NoiseLevel()(pixels).numpy()
    assert np.min(levels) > 20
    expected = denoiser({"pixels": pixels, "noise_level": levels})
    np.testing.assert_allclose(blind(pixels), expected, atol=1e-3)
    other = denoiser({"pixels": pixels, "noise_level": levels / 2})
    assert np.abs(expected - other).max() > 1
    for size in SIZES:
        assert blind(noise(*size)).shape == (2, *size, 3)


@pytest.mark.parametrize("size", SIZES)
def test_autoencoder_answers_have_the_size_and_range_of_pixels(autoencoder, size):
    answer = autoencoder(noise(*size, low=-60, high=300))
    assert answer.shape == (2, *size, 3)
    assert answer.dtype == "float32"
    assert np.min(answer) >= 0
    assert np.max(answer) <= 255


def test_everything_passes_through_the_bottleneck():
    model = build_denoising_autoencoder(3, widths=(4, 6), code_filters=3)
    code = keras.Model(model.input, model.get_layer("code_relu").output)
    assert code(noise(9, 16)).shape == (2, 3, 4, 3)
    first, second = model(noise(9, 16)).numpy()
    assert not np.allclose(first, second)
    convolution = model.get_layer("code_conv")
    convolution.set_weights([np.zeros_like(w) for w in convolution.get_weights()])
    first, second = model(noise(9, 16)).numpy()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, r"`channels` .*at least 1.*channels=0"),
        ({"depth": 2}, r"`depth` .*at least 4.*depth=2"),
        ({"depth": 5}, r"`depth` must be an even number.*depth=5"),
        ({"width": 0}, r"`width` .*at least 1.*width=0"),
        ({"downscale": 0}, r"`downscale` .*at least 1.*downscale=0"),
        ({"downscale": 1.5}, r"`downscale` must be an integer.*downscale=1\.5"),
    ],
)
def test_bad_argument_of_the_residual_denoiser_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_residual_denoiser(**{"channels": 3, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, r"`channels` .*at least 1.*channels=0"),
        ({"widths": ()}, r"`widths` must be one or more.*widths=\(\)"),
        ({"widths": (4, 0)}, r"`widths` must .*widths=\(4, 0\)"),
        ({"code_filters": 0}, r"`code_filters` .*at least 1.*code_filters=0"),
    ],
)
def test_bad_argument_of_the_autoencoder_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_denoising_autoencoder(**{"channels": 3, **options})
