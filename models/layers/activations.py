"""Activation functions that the builders accept by name."""

from collections.abc import Callable

import keras
from keras import ops

from modelyard.models.checks import check_choice


@keras.saving.register_keras_serializable(package="modelyard")
def binary_step(x):
    """Returns 1 where `x` is at least 0, else 0, in the dtype of `x`.

    Useful for experiments only: the gradient is zero everywhere, so gradient descent
    never changes the layers before this activation.

    Args:
        x: Float tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.

    Reference:
        [McCulloch and Pitts, 1943](https://doi.org/10.1007/BF02478259)
    """
    # A comparison has no gradient at all, and optimizers warn about that; the
    # gradient of `sign` is zero on every backend.
    return ops.minimum(ops.sign(x) + 1, 1)


@keras.saving.register_keras_serializable(package="modelyard")
def gelu_tanh(x):
    """Returns the tanh approximation of GELU.

    It is within 5e-4 of the exact GELU and faster on a CPU.

    Args:
        x: Float tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.

    Reference:
        [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415)
    """
    return keras.activations.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable] = {
    "linear": keras.activations.linear,
    "binary_step": binary_step,
    "sigmoid": keras.activations.sigmoid,
    "tanh": keras.activations.tanh,
    "relu": keras.activations.relu,
    "leaky_relu": keras.activations.leaky_relu,
    "swish": keras.activations.silu,
    "gelu": keras.activations.gelu,
    "gelu_tanh": gelu_tanh,
    "softmax": keras.activations.softmax,
}


def get_activation(name: str) -> Callable:
    """Returns the activation function of that name.

    Args:
        name: A key of `ACTIVATIONS`. `"leaky_relu"` has a slope of 0.2 below
            zero, `"gelu"` is exact and `"gelu_tanh"` its fast approximation,
            `"softmax"` runs over the last axis (units or channels), and the
            gradient of `"binary_step"` is zero.

    Returns:
        A function from a tensor to a tensor of the same shape.

    Raises:
        ValueError: If the name is unknown; the message lists the known ones.
    """
    check_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
