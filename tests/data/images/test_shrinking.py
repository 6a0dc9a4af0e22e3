"""Tests of the low-resolution copies of pictures."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_image

from modelyard.data.images.shrinking import shrink_bicubic


def shrink_with_pillow(pixels, scale):
    height, width = pixels.shape[0] // scale, pixels.shape[1] // scale
    picture = PIL.Image.fromarray(pixels)
    return np.asarray(picture.resize((width, height), PIL.Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def photo():
    return load_sample_image("china.jpg")[100:303, 150:453]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_copy_is_that_of_pillow(photo, scale):
    height, width = photo.shape[0] // scale, photo.shape[1] // scale
    cut = photo[: height * scale, : width * scale]
    small = shrink_bicubic(photo[None], scale)
    assert small.shape == (1, height, width, 3)
    for channel in range(3):
        exact = shrink_with_pillow(cut[..., channel].astype("float32"), scale)
        difference = small[0, ..., channel] - np.clip(exact, 0, 255)
        assert np.abs(difference).max() < 0.501
    # With 8 bits, Pillow clips between the axes, too.
    difference = np.abs(small[0] - shrink_with_pillow(cut, scale))
    assert np.mean(difference <= 1) > 0.9995


def test_values_are_whole_and_in_range():
    # The filter overshoots at edges.
    blocks = np.random.default_rng(0).choice([0, 255], (2, 6, 7, 1))
    pixels = blocks.repeat(6, axis=1).repeat(6, axis=2)
    small = shrink_bicubic(pixels.astype("uint8"), 2)
    assert small.dtype == "float32"
    np.testing.assert_array_equal(small, np.round(small))
    assert np.min(small) == 0
    assert np.max(small) == 255


def test_rest_is_cut_off_at_the_bottom_and_at_the_right(photo):
    expected = shrink_bicubic(photo[None, :40, :60], 4)
    small = shrink_bicubic(photo[None, :43, :61], 4)
    np.testing.assert_array_equal(small, expected)


def test_factor_1_changes_nothing(photo):
    np.testing.assert_array_equal(shrink_bicubic(photo[None], 1)[0], photo)


def test_sizes_may_be_unknown(photo):
    unknown = tf.TensorSpec((None, None, None, 3), tf.uint8)
    shrink = tf.function(lambda x: shrink_bicubic(x, 3), input_signature=[unknown])
    expected = shrink_bicubic(photo[None], 3)
    np.testing.assert_array_equal(shrink(photo[None]), expected)
