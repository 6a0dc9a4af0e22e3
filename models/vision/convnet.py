"""A small convolutional network that trains fast on a CPU."""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from modelyard.models.checks import (
    check_choice,
    check_dropout,
    check_sizes,
    check_task,
    kernel_options,
)
from modelyard.models.layers.activations import get_activation

# Larger maps are averaged: flattened, they would hold most of the weights.
_MAX_FLAT_SIDE = 8
# The moving statistics must settle within a few hundred steps.
_MOMENTUM = 0.8
# Smaller images are neither strided nor cropped.
_MIN_STRIDED_SIDE = 16


def build_convnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    widths: Sequence[int] = (32, 64, 128),
    stem: Literal["strided", "pooled"] = "strided",
    activation: str = "relu",
    initializer: str = "he_normal",
    dropout: float = 0.0,
    l2: float = 0.0,
    name: str = "convnet",
) -> keras.Model:
    """Builds three convolutions and a dense layer, fast on a CPU.

    The first convolution has stride 2, so no later layer runs at full resolution. It
    has no normalisation, which would cost more than the convolution itself. Images
    with a side below 16 pixels keep their resolution. The last feature maps are
    flattened if they are at most 8x8 (images up to 49x49), otherwise averaged.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 8.
        num_classes: Number of classes, at least 2.
        widths: Filters of the three convolutions.
        stem: `"strided"` is fast; `"pooled"` runs the first convolution at full
            resolution, followed by max pooling, and is more accurate.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share of the features dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the kernels, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        has 128 units.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_convnet
        >>> model = build_convnet((8, 8, 1), 10)
        >>> pixels = np.zeros((2, 8, 8, 1), "uint8")
        >>> model.predict(pixels, verbose=0).shape
        (2, 10)

    Reference:
        [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167)
    """
    check_task(input_shape, num_classes, min_side=8)
    check_sizes("widths", widths, length=3)
    check_choice("stem", stem, ("strided", "pooled"))
    check_dropout(dropout)
    activate = get_activation(activation)
    kernel = kernel_options(initializer, l2)
    large = min(input_shape[:2]) >= _MIN_STRIDED_SIDE
    padding = "valid" if large else "same"
    strided = {"kernel_size": 4, "strides": 2}
    first = strided if large and stem == "strided" else {"kernel_size": 3}
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Conv2D(widths[0], padding=padding, name="conv0", **first, **kernel)(x)
    x = layers.Activation(activate, name="activation0")(x)
    if large and stem == "pooled":
        x = layers.MaxPooling2D(name="pool0")(x)
    for i in (1, 2):
        conv = layers.Conv2D(
            widths[i],
            3,
            padding=padding,
            use_bias=False,  # The normalisation has its own bias.
            name=f"conv{i}",
            **kernel,
        )
        x = conv(x)
        if i == 1:
            # Before the normalisation, which then costs a quarter.
            x = layers.MaxPooling2D(name="pool1")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"norm{i}")(x)
        x = layers.Activation(activate, name=f"activation{i}")(x)
    if max(x.shape[1:3]) <= _MAX_FLAT_SIDE:
        x = layers.Flatten(name="flatten")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(128, use_bias=False, name="dense", **kernel)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="norm3")(x)
    x = layers.Activation(activate, name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)
