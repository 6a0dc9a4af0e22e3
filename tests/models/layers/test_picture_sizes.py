"""Tests of the layers that let a network read pictures of any size."""

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from modelyard.models import (
    BicubicUpscaling,
    CropLike,
    PadToMultiple,
    ResizeLike,
    ShrinkShortSide,
)
from modelyard.models.layers.picture_sizes import resize_bilinear

LAYERS = {
    "pad": lambda: PadToMultiple(4),
    "shrink": lambda: ShrinkShortSide(4),
    "bicubic": lambda: BicubicUpscaling(3),
}
PAIRS = {"crop": CropLike, "resize": ResizeLike}


def noise(height, width, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (2, height, width, channels)).astype("float32")


def enlarge_with_pillow(picture, scale):
    """Enlarges each channel in float32; Pillow rounds pictures in colour."""
    height, width, channels = picture.shape
    size = (width * scale, height * scale)
    planes = [PIL.Image.fromarray(picture[..., i]) for i in range(channels)]
    return np.stack(
        [np.asarray(p.resize(size, PIL.Image.Resampling.BICUBIC)) for p in planes], -1
    )


@pytest.mark.parametrize(
    ("size", "padded"),
    [((1, 1), (4, 4)), ((5, 7), (8, 8)), ((8, 3), (8, 4)), ((4, 12), (4, 12))],
)
def test_padding_repeats_the_last_row_and_column(size, padded):
    pictures = noise(*size)
    missing = [(0, new - old) for old, new in zip(size, padded, strict=True)]
    expected = np.pad(pictures, [(0, 0), *missing, (0, 0)], mode="edge")
    np.testing.assert_array_equal(PadToMultiple(4)(pictures), expected)


def test_crop_keeps_the_upper_left_corner():
    pictures, others = noise(8, 9, 5), noise(3, 7)
    expected = pictures[:, :3, :7]
    np.testing.assert_array_equal(CropLike()([pictures, others]), expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((7, 9), (3, 4)),
        ((7, 9), (20, 31)),
        ((16, 12), (5, 12)),
        ((23, 4), (2, 9)),
        ((1, 1), (4, 3)),
        ((6, 5), (1, 1)),
    ],
)
def test_bilinear_resizing_is_the_antialiased_one_of_tensorflow(old, new):
    pictures = noise(*old)
    expected = tf.image.resize(pictures, new, antialias=True)
    np.testing.assert_allclose(resize_bilinear(pictures, *new), expected, atol=1e-3)
    resized = ResizeLike()([pictures, noise(*new, channels=1)])
    np.testing.assert_allclose(resized, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((40, 30), (11, 8)),  # 10.67
        ((12, 31), (8, 21)),  # 20.67
        ((16, 25), (8, 13)),  # 12.5
        ((30, 37), (8, 10)),  # 9.87
        ((1, 1), (1, 1)),  # Nothing is enlarged.
        ((7, 300), (7, 300)),
    ],
)
def test_shorter_side_gets_its_length_and_the_aspect_ratio_is_kept(old, new):
    pictures = noise(*old)
    resized = ShrinkShortSide(8)(pictures)
    assert resized.shape == (2, *new, 3)
    expected = tf.image.resize(pictures, new, antialias=True)
    np.testing.assert_allclose(resized, expected, atol=1e-3)


def test_shorter_side_of_the_right_length_changes_nothing():
    pictures = noise(7, 20)
    np.testing.assert_array_equal(ShrinkShortSide(7)(pictures), pictures)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_enlargement_is_that_of_pillow_but_for_the_border(scale):
    pictures = noise(7, 9)
    received = BicubicUpscaling(scale)(pictures)
    for picture, enlarged in zip(pictures, received, strict=True):
        # Pillow leaves out what lies beyond the border.
        inner = (slice(2 * scale, -2 * scale),) * 2
        expected = enlarge_with_pillow(picture, scale)
        np.testing.assert_allclose(enlarged[inner], expected[inner], atol=1e-3)
        padded = np.pad(picture, ((3, 3), (3, 3), (0, 0)), mode="edge")
        cut = (slice(3 * scale, -3 * scale),) * 2
        expected = enlarge_with_pillow(padded, scale)[cut]
        np.testing.assert_allclose(enlarged, expected, atol=1e-3)


def test_bicubic_enlargement_of_one_pixel_repeats_it():
    pixel = noise(1, 1)
    expected = np.broadcast_to(pixel, (2, 3, 3, 3))
    np.testing.assert_allclose(BicubicUpscaling(3)(pixel), expected, rtol=1e-5)


def test_bicubic_enlargement_by_1_changes_nothing():
    pictures = noise(5, 7)
    np.testing.assert_array_equal(BicubicUpscaling(1)(pictures), pictures)


@pytest.mark.parametrize("name", [*LAYERS, *PAIRS])
def test_sizes_may_be_unknown_until_the_graph_runs(name):
    unknown = tf.TensorSpec((None, None, None, 3), tf.float32)
    if name in LAYERS:
        layer, specs = LAYERS[name](), [unknown]
        run = tf.function(lambda x: layer(x), input_signature=specs)
        batches = [(noise(*size),) for size in ((5, 7), (9, 6), (1, 1))]
        expected = [layer(x) for (x,) in batches]
    else:
        layer, specs = PAIRS[name](), [unknown, unknown]
        run = tf.function(lambda x, y: layer([x, y]), input_signature=specs)
        batches = [(noise(8, 9), noise(*size)) for size in ((5, 7), (8, 9), (1, 1))]
        expected = [layer([x, y]) for x, y in batches]
    for batch, answer in zip(batches, expected, strict=True):
        np.testing.assert_allclose(run(*batch), answer, rtol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (9, 6), (1, 1)])
@pytest.mark.parametrize("name", LAYERS)
def test_symbolic_shape_is_that_of_the_answer(name, size):
    layer = LAYERS[name]()
    assert layer(keras.Input((None, None, 3))).shape == (None, None, None, 3)
    answer = layer(noise(*size))
    assert layer(keras.Input((*size, 3))).shape == (None, *answer.shape[1:])


@pytest.mark.parametrize("name", PAIRS)
def test_symbolic_shape_of_two_inputs_is_that_of_the_answer(name):
    layer = PAIRS[name]()
    unknown = layer([keras.Input((None, None, 5)), keras.Input((None, None, 3))])
    assert unknown.shape == (None, None, None, 5)
    known = layer([keras.Input((8, 9, 5)), keras.Input((4, 7, 3))])
    answer = layer([noise(8, 9, 5), noise(4, 7)])
    assert known.shape == (None, *answer.shape[1:])


def test_layers_survive_saving(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = PadToMultiple(4)(inputs)
    x = BicubicUpscaling(3)(ShrinkShortSide(5)(x))
    outputs = [CropLike()([x, inputs]), ResizeLike()([x, inputs])]
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    for answer, expected in zip(reloaded(noise(6, 7)), model(noise(6, 7)), strict=True):
        np.testing.assert_array_equal(answer, expected)
