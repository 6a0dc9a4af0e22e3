"""An autoencoder of images: a few numbers for each, and back."""

from collections.abc import Sequence

import keras
from keras import layers

from modelyard.models.checks import check_integer, check_sizes
from modelyard.models.vision.blocks import conv_norm_relu


def build_image_autoencoder(
    input_shape: tuple[int, int, int],
    code_size: int,
    *,
    widths: Sequence[int] = (32, 64),
    name: str = "image_autoencoder",
) -> keras.Model:
    """Builds a convolutional autoencoder with a bottleneck.

    Args:
        input_shape: `(height, width, channels)`, any positive sizes.
        code_size: Numbers of a code, at least 1.
        widths: Filters of each stage; every stage halves the sides.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 reconstructions of the same shape and range. The layer
        `code` gives the codes `(batch, code_size)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_image_autoencoder((8, 8, 1), 4, widths=(8,))
        >>> model.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape
        (2, 8, 8, 1)

    Reference:
        [Hinton and Salakhutdinov, 2006](https://doi.org/10.1126/science.1127647)
    """
    check_sizes("input_shape", input_shape, length=3)
    check_integer("code_size", code_size, minimum=1)
    check_sizes("widths", widths)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for i, filters in enumerate(widths):
        x = conv_norm_relu(x, filters, strides=2, name=f"down{i}")
    maps = x.shape[1:]
    x = layers.Flatten(name="flatten")(x)
    code = layers.Dense(code_size, dtype="float32", name="code")(x)
    x = layers.Dense(maps[0] * maps[1] * maps[2], name="expand")(code)
    x = layers.Reshape(maps, name="reshape")(x)
    for i, filters in reversed(list(enumerate(widths))):
        x = conv_norm_relu(
            x, filters, strides=2, convolution=layers.Conv2DTranspose, name=f"up{i}"
        )
    surplus = [x.shape[axis] - input_shape[axis - 1] for axis in (1, 2)]
    x = layers.Cropping2D([(0, extra) for extra in surplus], name="crop")(x)
    x = layers.Conv2D(
        input_shape[2],
        3,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="values",
    )(x)
    outputs = layers.Rescaling(255.0, dtype="float32", name="to_pixels")(x)
    return keras.Model(inputs, outputs, name=name)
