import keras
import numpy as np
import pytest
from keras import ops

from modelyard.models import ACTIVATIONS, binary_step, build_mlp, get_activation

X = np.array([-2.0, -0.5, 0.0, 0.5, 2.0], "float32")
SIGMOID = 1 / (1 + np.exp(-X))
# Half of the error function's complement, from tables of the normal distribution.
NORMAL = np.array([0.02275, 0.308538, 0.5, 0.691462, 0.97725])
EXPECTED = {
    "linear": X,
    "binary_step": [0, 0, 1, 1, 1],
    "sigmoid": SIGMOID,
    "tanh": (1 - np.exp(-2 * X)) / (1 + np.exp(-2 * X)),
    "relu": [0, 0, 0, 0.5, 2],
    "leaky_relu": [-0.4, -0.1, 0, 0.5, 2],
    "swish": X * SIGMOID,
    "gelu": X * NORMAL,
    "gelu_tanh": X * (1 + np.tanh((2 / np.pi) ** 0.5 * (X + 0.044715 * X**3))) / 2,
    "softmax": np.exp(X) / np.exp(X).sum(),
}


def test_every_activation_has_an_expected_value():
    assert EXPECTED.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_activation_values(name):
    y = ops.convert_to_numpy(get_activation(name)(ops.convert_to_tensor(X[None])))
    np.testing.assert_allclose(y[0], EXPECTED[name], atol=1e-5)


def test_binary_step_keeps_the_dtype():
    y = binary_step(ops.cast(X, "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"


@pytest.mark.parametrize("name", EXPECTED)
def test_models_use_the_named_activation(name):
    model = build_mlp((2, 2, 1), 2, hidden_units=(3,), activation=name)
    dense = model.get_layer("features")
    x = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    expected = get_activation(name)(ops.matmul(x, dense.kernel) + dense.bias)
    np.testing.assert_allclose(dense(x), expected, atol=1e-6)


def test_binary_step_leaves_the_layers_before_it_unchanged():
    model = build_mlp((2, 2, 1), 2, hidden_units=(3,), activation="binary_step")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    hidden = model.get_layer("features").get_weights()
    logits = model.get_layer("logits").get_weights()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 1), "uint8")
    model.fit(pixels, np.array([0, 1, 1, 1]), verbose=0)
    for before, after in zip(
        hidden, model.get_layer("features").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    # The bias, because the kernel has no gradient where the step is 0.
    assert not np.array_equal(logits[1], model.get_layer("logits").get_weights()[1])


def test_unknown_activation_error_names_the_known_and_the_nearest():
    message = r'`activation` must be one of "linear", .*"softmax".*'
    with pytest.raises(ValueError, match=message + r"'swsh'.*mean \"swish\"\?"):
        get_activation("swsh")
    with pytest.raises(ValueError, match=message + r"activation='zzz'\.$"):
        get_activation("zzz")
