"""Tests of the network that adds colour, of its losses and of the pictures."""

import keras
import numpy as np
import pytest
import skimage.color
import tensorflow as tf

from modelyard.models import (
    ChromaError,
    ColorCrossentropy,
    build_colorizer,
    build_picture_colorizer,
    lab_to_pixels,
    pixels_to_lab,
    quantized_colors,
    rebalancing_weights,
)
from modelyard.models.vision.colorizer import AnnealedMean

PALETTE = np.array([[0, 0], [60, 40], [-50, 40], [20, -60]], "float32")


def noise(height, width, low=0, high=255):
    rng = np.random.default_rng(0)
    return rng.uniform(low, high, (2, height, width, 3)).astype("float32")


def lab_of(pixels):
    return skimage.color.rgb2lab(np.asarray(pixels) / 255)


def half_size_chroma(pixels):
    """Means of 2x2 blocks of a and b; of what there is, at an odd border."""
    chroma = lab_of(pixels)[..., 1:]
    rows = [chroma[:, i : i + 2].mean(1) for i in range(0, chroma.shape[1], 2)]
    chroma = np.stack(rows, 1)
    columns = [chroma[:, :, i : i + 2].mean(2) for i in range(0, chroma.shape[2], 2)]
    return np.stack(columns, 2).astype("float32")


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("num_colors", [0, 6])
def test_chroma_has_half_the_size_of_any_picture(num_colors):
    model = build_colorizer(widths=(4, 6), num_colors=num_colors)
    for size, half in (((1, 1), (1, 1)), ((5, 7), (3, 4)), ((8, 10), (4, 5))):
        answer = model(noise(*size))
        assert answer.shape == (2, *half, num_colors or 2)
        assert answer.dtype == "float32"


def test_untrained_network_answers_grey():
    np.testing.assert_array_equal(build_colorizer(widths=(4,))(noise(5, 7)), 0)


@pytest.mark.parametrize("name", ["colorizer", "color_distribution"])
def test_network_reads_the_lightness_alone(shared, name):
    model, pixels = shared(name), noise(9, 8)
    lab = lab_of(pixels)
    grey = 255 * skimage.color.lab2rgb(lab * [1, 0, 0])
    answer = model(pixels).numpy()
    np.testing.assert_allclose(model(grey.astype("float32")), answer, atol=0.02)
    assert np.abs(answer - model(pixels[::-1])).max() > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"`widths` must be one or more.*widths=\(\)"),
        ({"widths": (4, -1)}, r"`widths` must .*widths=\(4, -1\)"),
        ({"num_colors": -1}, r"`num_colors` .*at least 0.*num_colors=-1"),
    ],
)
def test_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_colorizer(**options)


@pytest.mark.parametrize("grid", [10, 20])
def test_quantized_colors_cover_those_of_srgb(grid):
    colors = quantized_colors(grid)
    assert colors.dtype == "float32"
    np.testing.assert_array_equal(colors % grid, 0)
    assert len(np.unique(colors, axis=0)) == len(colors)
    pixels = np.random.default_rng(0).integers(0, 256, (400_000, 3))
    corners = 255 * np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3)
    chroma = lab_of(np.concatenate([pixels, corners]))[:, 1:]
    # The nearest on the grid is at most half a step away along each axis.
    found = np.unique(np.round(chroma / grid), axis=0) * grid
    known = {tuple(color) for color in colors}
    assert {tuple(color) for color in found} <= known
    # Nor is there any that sRGB lacks, but for slivers that the sample misses.
    assert len(known) - len(found) <= 0.03 * len(known)


def test_grid_of_quantized_colors_is_checked():
    with pytest.raises(ValueError, match=r"`grid` .*at least 1.*grid=0"):
        quantized_colors(0)


@pytest.fixture(scope="module")
def flat_pictures():
    """Grey pictures, the last 60 of 600 red, and the nearest colours of each."""
    colors = quantized_colors()
    pixels = np.full((600, 2, 2, 3), 128, "uint8")
    pixels[540:] = [200, 30, 30]
    chroma = lab_of(pixels[[0, -1], 0, 0])[:, 1:]
    nearest = np.square(chroma[:, None] - colors).sum(-1).argmin(-1)
    return pixels, colors, nearest


def test_weights_favour_rare_colours_and_have_the_mean_1(flat_pictures):
    pixels, colors, (grey, red) = flat_pictures
    weights = rebalancing_weights(pixels, colors)
    assert weights.shape == (len(colors),)
    assert weights.dtype == "float32"
    assert 0.9 * weights[grey] + 0.1 * weights[red] == pytest.approx(1, rel=1e-5)
    assert weights[red] > 2 * weights[grey]
    assert weights.max() > 2 * weights[red]  # Of those that never occur.
    milder = rebalancing_weights(pixels, colors, uniform_share=0.9)
    assert 1 < milder[red] / milder[grey] < weights[red] / weights[grey]


def test_smoothing_lowers_the_weights_of_neighbours(flat_pictures):
    pixels, colors, (grey, _) = flat_pictures
    weights = rebalancing_weights(pixels, colors)
    distance = np.abs(colors - colors[grey]).sum(-1)
    neighbours = weights[distance == 10]
    assert weights[grey] < neighbours.min()
    assert neighbours.max() < weights[distance == 30].min()


def test_uniform_share_of_1_gives_equal_weights(flat_pictures):
    pixels, colors, _ = flat_pictures
    weights = rebalancing_weights(pixels, colors, uniform_share=1.0)
    np.testing.assert_allclose(weights, 1, rtol=1e-5)


def test_annealed_mean_is_between_the_mean_and_the_mode():
    logits = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    probabilities = np.exp(log_softmax(logits))
    mean = AnnealedMean(PALETTE, 1.0)(logits)
    np.testing.assert_allclose(mean, probabilities @ PALETTE, atol=1e-3)
    mode = AnnealedMean(PALETTE, 1e-4)(logits)
    np.testing.assert_allclose(mode, PALETTE[logits.argmax(-1)], atol=1e-3)
    # Equation 5: the distribution to the power of 1 / T.
    sharper = probabilities ** (1 / 0.38)
    sharper /= sharper.sum(-1, keepdims=True)
    default = AnnealedMean(PALETTE)(logits)
    np.testing.assert_allclose(default, sharper @ PALETTE, atol=1e-3)


def test_chroma_error_is_the_mean_distance_from_the_means_of_blocks():
    pixels = noise(5, 7)
    chroma = half_size_chroma(pixels)
    assert float(ChromaError()(pixels, chroma)) == pytest.approx(0, abs=2e-3)
    wrong = chroma + np.array([[[[3, -4]]], [[[1, 0]]]], "float32")
    errors = ChromaError(reduction=None)(pixels, wrong)
    np.testing.assert_allclose(errors, [3.5, 0.5], atol=2e-3)
    whole = np.round(pixels).astype("uint8")
    chroma = half_size_chroma(whole)
    assert float(ChromaError()(whole, chroma)) == pytest.approx(0, abs=2e-3)


def soft_targets(pixels, colors):
    """The Gaussian of 5 units around the colour of each position, over the colours."""
    distance = half_size_chroma(pixels)[..., None, :] - colors
    squares = np.square(distance).sum(-1)
    return np.exp(log_softmax(-squares / (2 * 5**2))), squares.argmin(-1)


def test_color_crossentropy_is_weighted_by_the_nearest_colour():
    pixels = noise(5, 7)
    colors, rng = quantized_colors(20), np.random.default_rng(0)
    weights = rng.uniform(0.2, 3, len(colors))
    logits = rng.normal(size=(2, 3, 4, len(colors))).astype("float32")
    targets, nearest = soft_targets(pixels, colors)
    losses = -(targets * log_softmax(logits)).sum(-1) * weights[nearest]
    received = ColorCrossentropy(colors, weights, reduction=None)(pixels, logits)
    np.testing.assert_allclose(received, losses.mean((1, 2)), rtol=1e-3)


def test_color_crossentropy_is_least_for_the_target_itself():
    pixels = noise(6, 6)
    colors = quantized_colors(10)
    loss = ColorCrossentropy(colors, np.ones(len(colors)))
    perfect = np.log(soft_targets(pixels, colors)[0] + 1e-9).astype("float32")
    least = float(loss(pixels, perfect))
    rng = np.random.default_rng(0)
    for scale in (0.1, 0.5, 2):
        change = rng.normal(0, scale, perfect.shape).astype("float32")
        assert float(loss(pixels, perfect + change)) > least + 1e-3
    assert float(loss(pixels, 0 * perfect)) == pytest.approx(np.log(len(colors)))


def test_losses_keep_their_registered_names():
    # Saved models contain them.
    config = keras.saving.serialize_keras_object(ChromaError())
    assert config["registered_name"] == "modelyard>ChromaError"
    assert keras.saving.deserialize_keras_object(config).name == "chroma_error"
    loss = ColorCrossentropy(PALETTE, [1, 2, 3, 4])
    config = keras.saving.serialize_keras_object(loss)
    assert config["registered_name"] == "modelyard>ColorCrossentropy"
    again = keras.saving.deserialize_keras_object(config)
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype("float32")
    pixels = noise(5, 7)
    assert float(again(pixels, logits)) == float(loss(pixels, logits))


def _constant_colorizer(a, b):
    """A colorizer that paints everything in one colour."""
    model = build_colorizer(widths=(4,))
    layer = model.get_layer("scaled_chroma")
    kernel, _ = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.array([a, b]) / 100])
    return model


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (19, 30)])
def test_picture_keeps_the_lightness_at_full_resolution(size):
    # Colours that sRGB has at every lightness here.
    pixels = noise(*size, low=80, high=180)
    model = build_picture_colorizer(_constant_colorizer(10, -5), short_side=4)
    lab = lab_of(model(pixels))
    np.testing.assert_allclose(lab[..., 0], lab_of(pixels)[..., 0], atol=0.01)
    np.testing.assert_allclose(lab[..., 1], 10, atol=0.05)
    np.testing.assert_allclose(lab[..., 2], -5, atol=0.05)


@pytest.mark.parametrize("colors", [None, PALETTE])
def test_picture_gets_the_chroma_of_its_small_copy(build_filled, colors):
    name = "colorizer" if colors is None else "color_distribution"
    colorizer, pixels = build_filled(name), noise(16, 23)
    model = build_picture_colorizer(colorizer, short_side=8, colors=colors)
    chroma = colorizer(tf.image.resize(pixels, (8, 12), antialias=True))
    if colors is not None:
        chroma = AnnealedMean(colors, 0.38)(chroma)
    assert np.ptp(chroma) > 1
    chroma = tf.image.resize(chroma, (16, 23))
    lightness = pixels_to_lab(tf.constant(pixels))[..., :1]
    expected = lab_to_pixels(tf.concat([lightness, chroma], -1))
    np.testing.assert_allclose(model(pixels), expected, atol=0.02)
    assert [w.path for w in model.weights] == [w.path for w in colorizer.weights]


def test_temperature_sharpens_the_colours_of_pictures(build_filled):
    colorizer, pixels = build_filled("color_distribution"), noise(8, 8, 100, 150)
    colors = np.array([[20, 15], [-20, 15], [10, -20], [-10, -20]])
    chroma = []
    for temperature in (1.0, 0.01):
        model = build_picture_colorizer(
            colorizer, short_side=8, colors=colors, temperature=temperature
        )
        chroma.append(np.abs(lab_of(model(pixels))[..., 1:]).mean())
    assert chroma[1] > 1.5 * chroma[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"short_side": 0}, "`short_side` must be an integer of at least 1"),
        ({"short_side": 8, "temperature": 0.0}, "`temperature` must be above 0"),
    ],
)
def test_picture_colorizer_names_the_bad_argument(fields, message):
    colorizer = build_colorizer(widths=(4,))
    with pytest.raises(ValueError, match=message):
        build_picture_colorizer(colorizer, **fields)


def test_uniform_share_out_of_range_is_refused():
    pixels = np.zeros((1, 2, 2, 3), "uint8")
    with pytest.raises(ValueError, match=r"`uniform_share` must be in \(0, 1\]"):
        rebalancing_weights(pixels, quantized_colors(50), uniform_share=0.0)
