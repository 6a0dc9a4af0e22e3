import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from modelyard.evaluation.heat_maps import explain_images, make_explainer


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 8, 3), name="pixels")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(5, 3, strides=2, activation="relu", padding="same")(x)
    maps = layers.Identity(name="maps")(x)
    x = layers.GlobalAveragePooling2D(name="features")(maps)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 12, 8, 3)).astype("uint8")


def _grad_cam(model, images):
    """The heat maps from true gradients, by the definition in the paper."""
    pixels = tf.constant(images, tf.float32)
    inner = keras.Model(model.input, model.get_layer("maps").output)
    maps = inner(pixels)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logits = model.get_layer("logits")(tf.reduce_mean(maps, (1, 2)))
        highest = tf.reduce_sum(tf.reduce_max(logits, 1))
    weights = tf.reduce_mean(tape.gradient(highest, maps), (1, 2))
    heat = tf.nn.relu(tf.einsum("bhwc,bc->bhw", maps, weights))[..., None]
    heat = tf.image.resize(heat, images.shape[1:3])[..., 0].numpy()
    return heat / np.maximum(heat.max((1, 2), keepdims=True), 1e-12)


def test_heat_maps_are_those_of_grad_cam(model, images):
    expected = _grad_cam(model, images)
    assert expected.std() > 0.1
    np.testing.assert_allclose(explain_images(model, images), expected, atol=1e-5)


def test_heat_maps_have_the_size_of_the_image_and_reach_one(model, images):
    heat = explain_images(model, images)
    assert heat.shape == (5, 12, 8)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    np.testing.assert_array_equal(heat.max((1, 2)), np.ones(5))


def test_logits_are_those_of_the_model(model, images):
    logits, _ = make_explainer(model)(images.astype("float32"))
    expected = model(images.astype("float32"), training=False)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_map_is_zero_without_evidence_for_the_class(model, images):
    silent = keras.models.clone_model(model)
    kernel, _ = model.get_layer("logits").get_weights()
    silent.get_layer("logits").set_weights([-np.abs(kernel), np.arange(4.0)])
    assert not explain_images(silent, images).any()


def test_more_images_than_a_batch_are_explained_in_order(model, images):
    many = np.concatenate([images] * 14)
    single = explain_images(model, images)
    np.testing.assert_allclose(
        explain_images(model, many), np.concatenate([single] * 14), atol=1e-5
    )
