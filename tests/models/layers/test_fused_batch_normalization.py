import keras
import numpy as np
import pytest
from keras import layers

from modelyard.models.layers.fused_batch_normalization import FusedBatchNormalization


def trained_step(layer, maps):
    """Training output, gradients of inputs and weights, and the new weights."""
    import tensorflow as tf

    maps = tf.constant(maps)
    layer.build(maps.shape)
    rates = tf.reshape(tf.range(tf.size(maps), dtype="float32") % 7, maps.shape)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        answer = tf.cast(layer(maps, training=True), "float32")
        loss = tf.reduce_sum(answer * rates)
    sources = [maps, *(w.value for w in layer.trainable_weights)]
    return [answer, *tape.gradient(loss, sources), *layer.get_weights()]


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(3, 2, (6, 5, 4, 8)).astype("float32")


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_training_is_that_of_the_keras_layer(maps, scale, center):
    options = {"scale": scale, "center": center, "momentum": 0.6, "epsilon": 1e-5}
    expected = trained_step(layers.BatchNormalization(**options), maps)
    received = trained_step(FusedBatchNormalization(**options), maps)
    assert len(received) == len(expected) == 4 + 2 * scale + 2 * center
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_bfloat16_maps_keep_float32_statistics(maps):
    options = {"scale": False, "momentum": 0.6, "dtype": "mixed_bfloat16"}
    expected = trained_step(layers.BatchNormalization(**options), maps)
    layer = FusedBatchNormalization(**options)
    received = trained_step(layer, maps)
    assert layer(maps, training=True).dtype == "bfloat16"
    np.testing.assert_allclose(received[0], expected[0], atol=0.03)
    for one, other in zip(received[-2:], expected[-2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2)


@pytest.mark.parametrize(("size", "dtype"), [(1, "float32"), (6, "float64")])
def test_single_positions_and_float64_are_normalised_as_by_keras(maps, size, dtype):
    few = maps[:size, :size, :size].astype(dtype)
    expected = layers.BatchNormalization(dtype=dtype)
    received = FusedBatchNormalization(dtype=dtype)
    answer = expected(few, training=True)
    np.testing.assert_allclose(received(few, training=True), answer, atol=1e-5)
    for one, other in zip(received.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_frozen_or_at_inference_it_uses_the_moving_statistics(maps):
    layer = FusedBatchNormalization()
    layer(maps, training=True)
    before = layer.get_weights()
    expected = layers.BatchNormalization()
    expected.build(maps.shape)
    expected.set_weights(before)
    at_inference = expected(maps, training=False)
    np.testing.assert_allclose(layer(maps, training=False), at_inference, rtol=1e-6)
    layer.trainable = False
    np.testing.assert_allclose(layer(maps, training=True), at_inference, rtol=1e-6)
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("shape", "options"),
    [((2, 8), {}), ((2, 4, 4, 8), {"axis": 1}), ((2, 4, 4, 8), {"renorm": True})],
)
def test_other_axes_are_refused(shape, options):
    with pytest.raises(ValueError, match="normalises the last of four axes"):
        FusedBatchNormalization(**options).build(shape)


def test_it_reloads(tmp_path, maps):
    model = keras.Sequential([keras.Input(maps.shape[1:]), FusedBatchNormalization()])
    model(maps, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(maps), model(maps))
