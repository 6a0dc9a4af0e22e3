"""Keras model builders, on any Keras backend.

Every builder returns an uncompiled functional `keras.Model` from raw pixels in
[0, 255] to float32 logits. Scaling is inside the model, and the layer named
`features` holds the vector that the logits are computed from. Saved `.keras` files
reload without `custom_objects` once this package is imported.
"""

from collections.abc import Callable

from modelyard.models.activations import ACTIVATIONS, binary_step, get_activation
from modelyard.models.convnet import build_convnet
from modelyard.models.efficientnet_lite import build_efficientnet_lite
from modelyard.models.fast_cifar_net import build_fast_cifar_net, whiten_patches
from modelyard.models.lenet import build_lenet
from modelyard.models.perceptrons import build_mlp, build_perceptron
from modelyard.models.residual_cnn import build_residual_cnn
from modelyard.models.transfer_classifier import build_transfer_classifier
from modelyard.models.wide_resnet import build_wide_resnet

BUILDERS: dict[str, Callable] = {
    "perceptron": build_perceptron,
    "mlp": build_mlp,
    "lenet": build_lenet,
    "convnet": build_convnet,
    "residual_cnn": build_residual_cnn,
    "wide_resnet": build_wide_resnet,
    "fast_cifar_net": build_fast_cifar_net,
}

__all__ = [
    "ACTIVATIONS",
    "BUILDERS",
    "binary_step",
    "build_convnet",
    "build_efficientnet_lite",
    "build_fast_cifar_net",
    "build_lenet",
    "build_mlp",
    "build_perceptron",
    "build_residual_cnn",
    "build_transfer_classifier",
    "build_wide_resnet",
    "get_activation",
    "whiten_patches",
]
