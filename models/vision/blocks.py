"""Blocks that several networks share."""

from collections.abc import Callable
from typing import Any

from keras import layers


def conv_norm_relu(
    x: Any,
    filters: int,
    *,
    strides: int = 1,
    convolution: Callable[..., layers.Layer] = layers.Conv2D,
    name: str,
) -> Any:
    """Applies a 3x3 convolution with batch normalisation and ReLU.

    Args:
        x: Feature maps `(batch, height, width, channels)`.
        filters: Filters of the convolution.
        strides: Its strides.
        convolution: `layers.Conv2D`, or `layers.Conv2DTranspose` to enlarge.
        name: Beginning of the layers' names.

    Returns:
        Feature maps with `filters` channels.
    """
    x = convolution(
        filters, 3, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    # Short trainings are measured with averages that have caught up.
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
