"""Tests of spectral normalisation."""

import keras
import numpy as np
import pytest
from keras import layers

from modelyard.models.generative.spectral_norm import SpectralNorm


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def built(layer, *shape, scale=1.0):
    """A layer with a random kernel and bias, and inputs for it."""
    rng = np.random.default_rng(0)
    wrapped = SpectralNorm(layer)
    wrapped.build((None, *shape))
    values = [rng.normal(size=w.shape) for w in layer.weights]
    layer.set_weights([scale * values[0], *values[1:]])
    return wrapped, rng.normal(size=(3, *shape)).astype("float32")


def largest_singular_value(kernel):
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[1][0]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(4), (6,)),
        (layers.Conv2D(4, 3, strides=2, padding="same"), (5, 7, 2)),
    ],
)
def test_layer_uses_its_kernel_divided_by_the_norm(layer, shape):
    wrapped, inputs = built(layer, *shape)
    for _ in range(100):
        wrapped(inputs, training=True)
    kernel, bias = layer.get_weights()
    twin = type(layer).from_config(layer.get_config())
    twin.build((None, *shape))
    twin.set_weights([kernel / largest_singular_value(kernel), bias])
    np.testing.assert_allclose(
        numpy(wrapped(inputs)), numpy(twin(inputs)), rtol=1e-3, atol=1e-4
    )


def test_estimate_changes_in_training_only():
    wrapped, inputs = built(layers.Dense(4), 6)
    start = numpy(wrapped.vector)
    first = numpy(wrapped(inputs))
    np.testing.assert_array_equal(numpy(wrapped(inputs, training=False)), first)
    np.testing.assert_array_equal(numpy(wrapped.vector), start)
    wrapped(inputs, training=True)
    assert np.abs(numpy(wrapped.vector) - start).max() > 0.01
    assert np.abs(numpy(wrapped(inputs)) - first).max() > 0.01


@pytest.mark.parametrize("training", [False, True])
def test_size_of_the_kernel_does_not_matter(training):
    outputs = []
    for scale in (1.0, 1000.0):
        wrapped, inputs = built(layers.Dense(4), 6, scale=scale)
        wrapped.vector.assign(np.ones(4))
        outputs.append(numpy(wrapped(inputs, training=training)))
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_kernel_of_zeros_gives_the_bias(training):
    wrapped, inputs = built(layers.Dense(4), 6, scale=0.0)
    outputs = numpy(wrapped(inputs, training=training))
    np.testing.assert_allclose(
        outputs, np.tile(numpy(wrapped.layer.bias), (3, 1)), rtol=1e-6
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses its tapes")
def test_gradient_includes_that_of_the_norm():
    import tensorflow as tf

    wrapped, inputs = built(layers.Dense(4), 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(wrapped(inputs, training=True) ** 2)
    kernel = wrapped.layer.kernel
    gradient = numpy(tape.gradient(loss, kernel.value))
    # Scaling the kernel changes nothing, so the derivative along it is 0.
    assert np.abs(gradient).max() > 0.1
    assert abs(np.sum(gradient * numpy(kernel))) < 1e-4 * np.abs(gradient).sum()


@pytest.mark.usefixtures("mixed_bfloat16")
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_outputs_have_the_dtype_of_the_layer(dtype):
    wrapped, inputs = built(layers.Dense(4, dtype=dtype), 6)
    outputs = wrapped(keras.ops.cast(inputs, "bfloat16"), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype.split("_")[-1]
    assert all(weight.dtype == "float32" for weight in wrapped.weights)


@pytest.mark.usefixtures("mixed_bfloat16")
def test_float32_layer_gets_its_inputs_unrounded():
    wrapped, inputs = built(layers.Dense(4, dtype="float32"), 6)
    # bfloat16 would round both to the same numbers.
    ones = np.ones_like(inputs)
    assert np.abs(numpy(wrapped(1.001 * ones)) - numpy(wrapped(ones))).max() > 1e-4
