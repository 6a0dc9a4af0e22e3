import keras
import numpy as np
import pytest

from modelyard.training.losses import (
    LumaError,
    PixelError,
    SmoothedCrossentropy,
)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_smoothed_loss_is_the_mean_cross_entropy_with_smoothed_labels(shape):
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    labels = np.array([0, 3, 1, 2, 2])
    targets = 0.8 * np.eye(4)[labels] + 0.2 / 4
    log_scores = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -(targets * log_scores).sum(1).mean()
    ours = SmoothedCrossentropy(0.2)(labels.reshape(shape), logits)
    assert float(ours) == pytest.approx(expected, rel=1e-6)


def test_loss_keeps_its_registered_name():
    # Saved models contain it.
    config = keras.saving.serialize_keras_object(SmoothedCrossentropy(0.3))
    assert config["registered_name"] == "modelyard>SmoothedCrossentropy"
    assert keras.saving.deserialize_keras_object(config).label_smoothing == 0.3


def noise(channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (2, 4, 5, channels), "uint8")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixel_error_is_the_mean_square_of_the_difference(channels):
    truth, answer = noise(channels), noise(channels, seed=1).astype("float32")
    expected = np.square((truth - answer) / 255).mean((1, 2, 3))
    ours = PixelError(reduction=None)(truth, answer)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_luma_error_of_grey_is_that_of_the_pixels():
    truth, answer = noise(1), noise(1, seed=1).astype("float32")
    expected = np.abs((truth - answer) / 255).mean((1, 2, 3))
    ours = LumaError(reduction=None)(truth, answer)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_luma_error_of_colour_is_that_of_the_luma():
    truth, answer = noise(3), noise(3, seed=1).astype("float32")
    luma = (truth - answer) / 255 @ np.array([0.299, 0.587, 0.114])
    ours = LumaError(reduction=None)(truth, answer)
    np.testing.assert_allclose(ours, np.abs(luma).mean((1, 2)), rtol=1e-5)


def test_luma_error_counts_equal_changes_fully_and_those_of_hue_not():
    truth = noise(3).astype("float32")
    assert float(LumaError()(truth, truth)) == 0
    for change in (-51, 51):
        assert float(LumaError()(truth, truth + change)) == pytest.approx(0.2)
    # Green against red, at the same luma.
    hue = np.array([58.7, -29.9, 0], "float32")
    assert float(LumaError()(truth, truth + hue)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [PixelError, LumaError])
def test_losses_of_pixels_keep_their_registered_names(loss):
    config = keras.saving.serialize_keras_object(loss(name="mine"))
    assert config["registered_name"] == f"modelyard>{loss.__name__}"
    assert keras.saving.deserialize_keras_object(config).name == "mine"
