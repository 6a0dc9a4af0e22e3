"""Keras model builders, on any Keras backend.

Every builder returns an uncompiled functional `keras.Model` from raw pixels in
[0, 255] to float32 logits. Scaling is inside the model, and the layer named
`features` holds the vector that the logits are computed from. Saved `.keras` files
reload without `custom_objects` once this package is imported.
"""

from collections.abc import Callable

from modelyard.models.activations import ACTIVATIONS, binary_step, get_activation
from modelyard.models.convnet import build_convnet
from modelyard.models.lenet import build_lenet
from modelyard.models.perceptrons import build_mlp, build_perceptron
from modelyard.models.residual_cnn import build_residual_cnn

BUILDERS: dict[str, Callable] = {
    "perceptron": build_perceptron,
    "mlp": build_mlp,
    "lenet": build_lenet,
    "convnet": build_convnet,
    "residual_cnn": build_residual_cnn,
}

__all__ = [
    "ACTIVATIONS",
    "BUILDERS",
    "binary_step",
    "build_convnet",
    "build_lenet",
    "build_mlp",
    "build_perceptron",
    "build_residual_cnn",
    "get_activation",
]
