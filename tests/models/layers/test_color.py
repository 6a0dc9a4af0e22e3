"""Tests of the conversion between pixels and CIE Lab."""

import itertools

import keras
import numpy as np
import pytest
import skimage.color
import tensorflow as tf

from modelyard.models import LabToPixels, Lightness, lab_to_pixels, pixels_to_lab

CORNERS = np.array(list(itertools.product((0, 255), repeat=3)), "float32")
# Near black the curves are straight.
DARK = np.array(list(itertools.product((0, 1, 5, 11), repeat=3)), "float32")
RANDOM = np.random.default_rng(0).uniform(0, 255, (5000, 3)).astype("float32")
COLORS = np.concatenate([CORNERS, DARK, RANDOM])
TENSOR = tf.constant(COLORS)


def test_lab_is_that_of_scikit_image():
    expected = skimage.color.rgb2lab(COLORS / 255)
    np.testing.assert_allclose(pixels_to_lab(TENSOR), expected, atol=2e-3)


def test_pixels_are_those_of_scikit_image():
    # Only colours that sRGB has: it clips others at a different step.
    lab = skimage.color.rgb2lab(COLORS / 255).astype("float32")
    expected = 255 * skimage.color.lab2rgb(lab)
    np.testing.assert_allclose(lab_to_pixels(tf.constant(lab)), expected, atol=5e-3)


def test_round_trip_returns_the_pixels():
    pixels = lab_to_pixels(pixels_to_lab(TENSOR))
    np.testing.assert_allclose(pixels, COLORS, atol=5e-3)


def test_colors_beyond_srgb_are_clipped():
    rng = np.random.default_rng(0)
    lab = rng.uniform([-5, -150, -150], [105, 150, 150], (5000, 3)).astype("float32")
    pixels = lab_to_pixels(tf.constant(lab)).numpy()
    assert pixels.min() == 0
    assert pixels.max() == pytest.approx(255, abs=1e-3)


def gradients(function, values):
    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(function(values))
    return tape.gradient(total, values).numpy()


def test_gradients_are_finite_at_black_and_at_the_corners():
    values = np.concatenate([CORNERS, DARK])
    found = gradients(pixels_to_lab, values)
    assert np.isfinite(found).all()
    assert np.any(found[0])  # Black itself.
    lab = pixels_to_lab(tf.constant(values))
    found = gradients(lab_to_pixels, np.concatenate([lab, [[0, 0, 0], [-1, 9, 9]]]))
    assert np.isfinite(found).all()
    black = gradients(lab_to_pixels, np.array([[1e-3, 0, 0]], "float32"))
    assert np.any(black)


def test_layers_split_and_join_pictures():
    pixels = RANDOM[:60].reshape(2, 5, 6, 3)
    lab = skimage.color.rgb2lab(pixels / 255).astype("float32")
    lightness = Lightness()(pixels)
    np.testing.assert_allclose(lightness, lab[..., :1], atol=2e-3)
    joined = LabToPixels()([lightness, lab[..., 1:]])
    np.testing.assert_allclose(joined, pixels, atol=5e-3)


@pytest.mark.usefixtures("mixed_bfloat16")
def test_layers_compute_in_float32_and_survive_saving(tmp_path):
    pixels = keras.Input((None, None, 3))
    chroma = keras.Input((None, None, 2))
    outputs = LabToPixels()([Lightness()(pixels), chroma])
    assert outputs.shape == (None, None, None, 3)
    model = keras.Model([pixels, chroma], outputs)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    grey = np.repeat(RANDOM[:20, :1].reshape(1, 4, 5, 1), 3, axis=-1)
    for each in (model, reloaded):
        answer = each([grey, np.zeros((1, 4, 5, 2), "float32")])
        np.testing.assert_allclose(answer, grey, atol=0.02)
