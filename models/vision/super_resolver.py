"""A network that enlarges pictures."""

import keras
from keras import layers, ops

from modelyard.models.checks import check_integer
from modelyard.models.layers.picture_sizes import BicubicUpscaling


def build_super_resolver(
    scale: int,
    channels: int,
    *,
    blocks: int = 4,
    width: int = 48,
    name: str = "super_resolver",
) -> keras.Model:
    """Builds a super-resolution network: residual convolutions and a pixel shuffle.

    All convolutions run at the low resolution. The network corrects the lightness of
    a bicubic enlargement: it adds the same value to all channels of a pixel.

    Args:
        scale: Factor of enlargement, 2, 3 or 4.
        channels: Channels of the pictures, 1 or more.
        blocks: Number of residual blocks of two convolutions.
        width: Filters of each convolution.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in [0, 255]
        to float32 pixels `(batch, scale * height, scale * width, channels)`, which may
        exceed this range a little.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_super_resolver(2, 3, blocks=1, width=8)
        >>> model.predict(np.zeros((2, 5, 7, 3)), verbose=0).shape
        (2, 10, 14, 3)

    Reference:
        [Shi et al., 2016](https://arxiv.org/abs/1609.05158) (ESPCN),
        [Lim et al., 2017](https://arxiv.org/abs/1707.02921) (EDSR)
    """
    check_integer("scale", scale, minimum=2, maximum=4)
    check_integer("channels", channels, minimum=1)
    check_integer("blocks", blocks, minimum=1)
    check_integer("width", width, minimum=1)
    pixels = keras.Input((None, None, channels), name="pixels")
    scaled = layers.Rescaling(1 / 255, dtype="float32", name="rescale")(pixels)
    x = first = _convolution(scaled, width, name="stem")
    for i in range(blocks):
        y = _convolution(x, width, activation="relu", name=f"block{i}_conv0")
        y = _convolution(y, width, name=f"block{i}_conv1")
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = _convolution(x, width, name="trunk")
    x = layers.Add(name="trunk_add")([x, first])
    # Starts as the plain enlargement.
    x = _convolution(x, scale**2, kernel_initializer="zeros", name="subpixels")
    x = layers.Activation("linear", dtype="float32", name="detail")(x)
    x = ops.depth_to_space(x, scale)
    base = BicubicUpscaling(scale, dtype="float32", name="bicubic")(scaled)
    x = layers.Add(dtype="float32", name="enlarged")([base, x])
    outputs = layers.Rescaling(255.0, dtype="float32", name="to_pixels")(x)
    return keras.Model(pixels, outputs, name=name)


def _convolution(x, filters, *, kernel_initializer="he_normal", activation=None, name):
    """A 3x3 convolution."""
    return layers.Conv2D(
        filters,
        3,
        padding="same",
        activation=activation,
        kernel_initializer=kernel_initializer,
        name=name,
    )(x)
