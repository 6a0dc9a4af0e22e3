import functools

import keras
import numpy as np
import pytest
from keras import layers

from modelyard.models import FastLSTM

# More steps than an iteration of the loop takes, and not a multiple of them.
X = np.random.default_rng(0).normal(size=(4, 11, 3)).astype("float32")
MASK = np.arange(11) < np.array([[11], [4], [1], [9]])
both_directions = pytest.mark.parametrize("bidirectional", [False, True])
both_outputs = pytest.mark.parametrize("return_sequences", [False, True])


def _pair(bidirectional, return_sequences):
    """The layer of Keras and ours, with the same weights."""
    keras.utils.set_random_seed(0)
    standard = layers.LSTM(
        5, return_sequences=return_sequences, zero_output_for_mask=return_sequences
    )
    if bidirectional:
        standard = layers.Bidirectional(standard)
    fast = FastLSTM(5, bidirectional=bidirectional, return_sequences=return_sequences)
    standard.build(X.shape)
    fast.build(X.shape)
    # As training would leave them.
    rng = np.random.default_rng(0)
    weights = [w + rng.normal(0, 0.3, w.shape) for w in standard.get_weights()]
    standard.set_weights(weights)
    fast.set_weights(standard.get_weights())
    return standard, fast


@functools.cache
def _compiled_pair(bidirectional, return_sequences):
    """Models of both layers; their gradients are the change in a step of SGD."""
    # One pair runs as a graph, as in `fit`; the others eagerly, which starts faster.
    run_eagerly = not (bidirectional and return_sequences)
    pair = _pair(bidirectional, return_sequences)
    return [_compile(layer, run_eagerly=run_eagerly) for layer in pair]


def _compile(layer, *, run_eagerly):
    kernel = layers.Dense(3, name="before")
    inputs = keras.Input((None, 3))
    mask_input = keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, mask_input], layer(kernel(inputs), mask=mask_input))
    kernel.set_weights([np.eye(3), np.zeros(3)])
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda y, p: keras.ops.sum(y * p),
        run_eagerly=run_eagerly,
    )
    return model


def _outputs_and_gradients(model, mask):
    """Outputs, and gradients of inputs and weights in a random direction."""
    outputs = keras.ops.convert_to_numpy(model([X, mask]))
    goal = np.random.default_rng(1).normal(size=outputs.shape)
    before = model.get_weights()
    model.train_on_batch([X, mask], goal)
    after = model.get_weights()
    model.set_weights(before)
    return [outputs, *(b - w for b, w in zip(before, after, strict=True))]


@pytest.mark.slow
@both_directions
@both_outputs
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_are_those_of_keras(
    bidirectional, return_sequences, masked
):
    mask = MASK if masked else np.ones_like(MASK)
    pair = _compiled_pair(bidirectional, return_sequences)
    expected, ours = (_outputs_and_gradients(model, mask) for model in pair)
    assert len(ours) == 1 + 2 + 3 * (1 + bidirectional)
    for value, wanted in zip(ours, expected, strict=True):
        assert np.any(wanted)
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


@both_directions
@both_outputs
def test_no_mask_means_all_steps(bidirectional, return_sequences):
    standard, fast = _pair(bidirectional, return_sequences)
    np.testing.assert_allclose(fast(X), standard(X), atol=1e-5)
    # A whole number of iterations.
    np.testing.assert_allclose(fast(X[:, :8]), standard(X[:, :8]), atol=1e-5)


@both_directions
def test_outputs_are_zero_where_masked_and_pass_the_mask_on(bidirectional):
    layer = FastLSTM(5, bidirectional=bidirectional, return_sequences=True)
    y = keras.ops.convert_to_numpy(layer(X, mask=MASK))
    assert not np.any(y[~MASK])
    assert np.all(np.any(y[MASK] != 0, axis=-1))
    assert layer.compute_mask(X, MASK) is MASK
    assert FastLSTM(5).compute_mask(X, MASK) is None


def test_weights_start_as_those_of_keras():
    fast = FastLSTM(5, bidirectional=True)
    fast.build(X.shape)
    standard = layers.Bidirectional(layers.LSTM(5))
    standard.build(X.shape)
    names = {True: "kernel", False: "bias"}
    for ours, theirs in zip(fast.weights, standard.weights, strict=True):
        assert ours.shape == theirs.shape
        assert names[len(ours.shape) == 2] in ours.name
    np.testing.assert_array_equal(fast.get_weights()[2], standard.get_weights()[2])
    recurrent = fast.get_weights()[1]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), atol=1e-5)


def test_weight_drop_acts_on_the_recurrent_kernel_in_training_only():
    layer = FastLSTM(5, weight_drop=0.5, seed=1)
    before = layer(X)
    np.testing.assert_array_equal(layer(X, training=False), before)
    assert np.any(layer(X, training=True) != before)
    # The first step has no state before it that could be dropped.
    first = keras.ops.convert_to_numpy(layer(X[:, :1]))
    np.testing.assert_allclose(layer(X[:, :1], training=True), first, atol=1e-6)


@both_directions
def test_layer_reloads(bidirectional, tmp_path):
    inputs = keras.Input((None, 3))
    layer = FastLSTM(
        5, bidirectional=bidirectional, return_sequences=True, weight_drop=0.1, seed=3
    )
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert loaded.layers[1].get_config() == layer.get_config()


@pytest.mark.usefixtures("mixed_bfloat16")
def test_bfloat16_is_near_and_its_gradients_are_finite():
    layer = FastLSTM(5, bidirectional=True)
    y = layer(X, mask=MASK)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    keras.config.set_dtype_policy("float32")
    exact = FastLSTM(5, bidirectional=True)
    exact.build(X.shape)
    exact.set_weights(layer.get_weights())
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(rounded, exact(X, mask=MASK), atol=0.03)
