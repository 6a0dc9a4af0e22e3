import io

import keras
import numpy as np
import pytest
from rich.console import Console

from modelyard.evaluation import progress
from modelyard.evaluation.prediction import predict_scores


@pytest.fixture(scope="module")
def first_pixel_model():
    """Logits are the first two pixels of the first row."""
    inputs = keras.Input((3, 3, 1))
    pixels = keras.layers.Flatten()(inputs)
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(pixels))
    kernel = np.zeros((9, 2), "float32")
    kernel[0, 0] = kernel[1, 1] = 0.01
    dense.set_weights([kernel])
    return model


def _images(count=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 3, 3, 1)).astype("uint8")


def _softmax(logits):
    scores = np.exp(logits)
    return scores / scores.sum(-1, keepdims=True)


def test_scores_are_the_softmax_of_the_logits_in_order(first_pixel_model):
    images = _images(1203)  # Several batches, the last one smaller.
    expected = _softmax(0.01 * images[:, 0, :2, 0].astype("float64"))
    scores = predict_scores(first_pixel_model, images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_batch_size_makes_no_difference(first_pixel_model):
    images = _images(7)
    np.testing.assert_allclose(
        predict_scores(first_pixel_model, images, batch_size=2),
        predict_scores(first_pixel_model, images),
        rtol=1e-6,
    )


def test_flip_averages_the_logits_with_those_of_the_mirror_image(first_pixel_model):
    images = _images()
    row = images[:, 0, :, 0].astype("float64")
    expected = _softmax(0.01 * (row[:, :2] + row[:, [2, 1]]) / 2)
    scores = predict_scores(first_pixel_model, images, views="flip")
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_shift_averages_over_five_positions(first_pixel_model):
    images = _images()
    padded = np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    views = [
        padded[:, 1 + down, 1 + right : 3 + right]
        for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    expected = _softmax(0.01 * np.mean(views, axis=0))
    scores = predict_scores(first_pixel_model, images, views="shift")
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_flipping_does_not_change_symmetric_images(first_pixel_model):
    images = _images()
    images = np.maximum(images, images[:, :, ::-1])
    np.testing.assert_allclose(
        predict_scores(first_pixel_model, images, views="flip_shift"),
        predict_scores(first_pixel_model, images, views="shift"),
        rtol=1e-5,
    )


def test_six_views_give_the_centre_half_of_the_weight(first_pixel_model):
    image = np.zeros((1, 3, 3, 1), "uint8")
    image[0, 0, 0] = 240
    # The centre and its mirror image see 240 as pixel 0 in one of two views; moved
    # down right it stays in the corner and spreads to the next pixel, moved up left
    # it is gone. Mirror images have zeros instead.
    first = 0.01 * 240 * (2 + 1) / 8
    second = 0.01 * 240 * 1 / 8
    expected = _softmax(np.array([[first, second]]))
    scores = predict_scores(first_pixel_model, image, views="six")
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_progress_shows_the_view_and_the_count(first_pixel_model, monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    console = Console(file=io.StringIO(), width=80)
    predict_scores(first_pixel_model, _images(), views="flip", console=console)
    predict_scores(first_pixel_model, _images(), batch_size=3, console=console)
    assert [line.split("  ")[0] for line in console.file.getvalue().splitlines()] == [
        "predicting, view 1 of 2: 5 of 5",
        "predicting, view 2 of 2: 5 of 5",
        "predicting: 3 of 5",
        "predicting: 5 of 5",
    ]
