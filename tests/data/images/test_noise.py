"""Tests of the noise that denoisers are trained and evaluated on."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from modelyard.data.images.add_noise import add_noise
from modelyard.data.images.noise import LEVELS, Noise

kinds = pytest.mark.parametrize("kind", LEVELS)


def flat(value, shape=(2, 200, 200, 3)):
    return np.full(shape, value, "uint8")


def noisy(pictures, noise, seed=(0, 0), *, training=False):
    seed = tf.constant(seed, tf.int32)
    pixels, levels = add_noise(pictures, noise, seed=seed, training=training)
    return pixels.numpy(), levels.numpy()


def default(kind):
    return Noise(kind, LEVELS[kind][0])


@kinds
def test_seed_decides_the_noise(kind):
    pictures = flat(120, (2, 40, 40, 3))
    first, _ = noisy(pictures, default(kind), (1, 2))
    again, _ = noisy(pictures, default(kind), (1, 2))
    np.testing.assert_array_equal(first, again)
    for seed in ((1, 3), (2, 2)):
        assert np.any(noisy(pictures, default(kind), seed)[0] != first)
    assert np.any(first[0] != first[1])


@kinds
def test_noise_is_float32_and_keeps_the_shape(kind):
    pictures = flat(120, (3, 9, 7, 1))
    pixels, levels = noisy(pictures, default(kind))
    assert pixels.dtype == levels.dtype == np.float32
    assert pixels.shape == pictures.shape
    np.testing.assert_array_equal(levels, [np.float32(LEVELS[kind][0])] * 3)


@kinds
def test_noise_in_a_dataset_is_that_outside(kind):
    pictures = flat(120, (3, 9, 7, 3))
    seed = tf.constant([4, 5])
    dataset = (
        tf.data.Dataset.from_tensor_slices(pictures)
        .batch(2)
        .map(lambda batch: add_noise(batch, default(kind), seed=seed, training=True)[0])
    )
    assert dataset.element_spec.shape == (None, 9, 7, 3)
    first = next(iter(dataset))
    expected, _ = noisy(pictures[:2], default(kind), (4, 5), training=True)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("level", [5, 50])
def test_gaussian_noise_has_its_standard_deviation(level):
    for value in (0, 128):
        error = noisy(flat(value), Noise("gaussian", level))[0] - value
        assert error.std() == pytest.approx(level, rel=0.02)
        assert error.mean() == pytest.approx(0, abs=0.02 * level)
    # Independent channels and neighbours.
    assert abs(np.corrcoef(error[..., 0].ravel(), error[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(error[:, 1:].ravel(), error[:, :-1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("level", [5, 50])
def test_variance_of_poisson_noise_grows_with_the_brightness(level):
    for value in (255, 128, 16):
        error = noisy(flat(value), Noise("poisson", level))[0] - value
        expected = level * np.sqrt(value / 255)
        assert error.std() == pytest.approx(expected, rel=0.02)
        assert error.mean() == pytest.approx(0, abs=0.02 * level)
    np.testing.assert_array_equal(noisy(flat(0), Noise("poisson", level))[0], 0)


@pytest.mark.parametrize("level", [0.1, 0.6, 1.0])
def test_salt_and_pepper_hit_their_share_in_all_channels(level):
    pixels, _ = noisy(flat(100), Noise("salt_and_pepper", level))
    assert set(np.unique(pixels)) <= {0, 100, 255}
    np.testing.assert_array_equal(pixels, np.repeat(pixels[..., :1], 3, axis=-1))
    for value in (0, 255):
        assert np.mean(pixels == value) == pytest.approx(level / 2, rel=0.05)


@pytest.mark.parametrize("side", [1, 4, 9])
def test_erased_squares_hide_a_tenth(side):
    pictures = flat(100, (4, 200, 200, 3))
    pixels, _ = noisy(pictures, Noise("erased_squares", side))
    assert set(np.unique(pixels)) == {0, 100}
    erased = pixels[..., 0] == 0
    np.testing.assert_array_equal(pixels == 0, np.repeat(erased[..., None], 3, -1))
    # A little less, where squares overlap.
    assert erased.mean() == pytest.approx(1 - np.exp(-0.1), rel=0.1)
    for each in erased:
        outside = np.pad(each, side, constant_values=True)
        opened = scipy.ndimage.binary_opening(outside, np.ones((side, side)))
        inner = slice(side, -side)
        np.testing.assert_array_equal(opened[inner, inner], each)


@kinds
def test_only_clipped_noise_stays_in_range(kind):
    pictures = np.repeat(flat(0, (2, 30, 30, 3)), 2, axis=0)
    pictures[2:] = 255
    level = LEVELS[kind][0]
    free, _ = noisy(pictures, Noise(kind, level))
    clipped, _ = noisy(pictures, Noise(kind, level, clip=True))
    np.testing.assert_array_equal(clipped, np.clip(free, 0, 255))
    if kind in ("gaussian", "poisson"):
        assert free.max() > 255


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_training_levels_are_drawn_and_evaluation_ones_are_not(kind):
    noise = Noise(kind, 50, min_level=10)
    pictures = flat(255, (300, 12, 12, 3))
    pixels, levels = noisy(pictures, noise, training=True)
    assert levels.min() == pytest.approx(10, abs=1)
    assert levels.max() == pytest.approx(50, abs=1)
    assert levels.mean() == pytest.approx(30, rel=0.05)
    assert levels.std() == pytest.approx(40 / np.sqrt(12), rel=0.1)
    # Each picture has the level that is reported for it.
    measured = (pixels - 255).std(axis=(1, 2, 3)) / levels
    assert measured.mean() == pytest.approx(1, rel=0.02)
    assert measured.std() < 0.06
    _, levels = noisy(pictures, noise)
    np.testing.assert_array_equal(levels, 50)
    _, levels = noisy(pictures, Noise(kind, 50), training=True)
    np.testing.assert_array_equal(levels, 50)


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_levels_near_0_hardly_change_a_picture(kind):
    noise = Noise(kind, 1e-4, min_level=0)
    pixels, _ = noisy(flat(200), noise, training=True)
    np.testing.assert_allclose(pixels, 200, atol=0.02)


def test_shares_of_salt_and_pepper_are_drawn_as_well():
    noise = Noise("salt_and_pepper", 0.8, min_level=0.2)
    pixels, levels = noisy(flat(100, (50, 60, 60, 1)), noise, training=True)
    assert np.ptp(levels) > 0.4
    shares = np.mean(pixels != 100, axis=(1, 2, 3))
    np.testing.assert_allclose(shares, levels, atol=0.05)


def test_levels_of_two_kinds_are_standard_deviations():
    assert [kind for kind in LEVELS if default(kind).has_sigma] == [
        "gaussian",
        "poisson",
    ]


@kinds
def test_level_is_checked_and_explained(kind):
    _, most, meaning = LEVELS[kind]
    Noise(kind, most)
    for level in (0, most + 1, float("nan")):
        with pytest.raises(ValueError, match="`noise_level` must be above 0") as caught:
            Noise(kind, level)
        assert f"at most {most:g}: the {meaning}." in str(caught.value)
        assert str(caught.value).endswith(f"Received: noise_level={level}")


@pytest.mark.parametrize("least", [-1, 26])
def test_least_level_is_checked(least):
    message = rf"`min_noise_level` must be from 0 .*min_noise_level={least}, .*=25"
    with pytest.raises(ValueError, match=message):
        Noise("gaussian", 25, min_level=least)


@pytest.mark.parametrize(("side", "least"), [(2.5, None), (4, 2)])
def test_squares_have_one_whole_side(side, least):
    message = rf"whole number.*noise_level={side}, min_noise_level={least}"
    with pytest.raises(ValueError, match=message):
        Noise("erased_squares", side, min_level=least)
