"""LeNet-5, the convolutional network of 1998."""

from typing import Literal

import keras
from keras import layers

from modelyard.models.checks import (
    check_choice,
    check_dropout,
    check_task,
    kernel_options,
)
from modelyard.models.layers.activations import get_activation

_POOLING = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}


def build_lenet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    activation: str = "tanh",
    pooling: Literal["average", "max"] = "average",
    initializer: str = "lecun_normal",
    dropout: float = 0.0,
    l2: float = 0.0,
    name: str = "lenet",
) -> keras.Model:
    """Builds LeNet-5, with layers named as in the paper.

    The defaults follow the paper: its layer sizes, pixel range (-0.1 to 1.175),
    average pooling and tanh (unscaled). Three things are simpler: C3 reads all maps
    of S2, the pooling layers have no weights, and the output layer computes logits
    instead of distances. The paper pads 28x28 digits to 32x32; here C1 pads its
    input.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 12.
        num_classes: Number of classes, at least 2.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        pooling: `"average"` as in the paper, or `"max"`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share of C5 and F6 dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the kernels, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        is F6 of the paper, 84 units.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_lenet
        >>> model = build_lenet((12, 12, 1), 10)
        >>> pixels = np.zeros((2, 12, 12, 1), "uint8")
        >>> model.predict(pixels, verbose=0).shape
        (2, 10)

    Reference:
        [LeCun et al., 1998](https://doi.org/10.1109/5.726791)
    """
    check_task(input_shape, num_classes, min_side=12)
    check_choice("pooling", pooling, _POOLING)
    check_dropout(dropout)
    pool = _POOLING[pooling]
    kernel = kernel_options(initializer, l2)
    hidden = {"activation": get_activation(activation), **kernel}
    inputs = keras.Input(input_shape, name="pixels")
    # As in the paper: digits then have a mean near 0 and a variance near 1.
    x = layers.Rescaling(1.275 / 255, offset=-0.1, name="rescale")(inputs)
    x = layers.Conv2D(6, 5, padding="same", name="c1", **hidden)(x)
    x = pool(2, name="s2")(x)
    x = layers.Conv2D(16, 5, name="c3", **hidden)(x)
    x = pool(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, name="c5", **hidden)(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="c5_dropout")(x)
    x = layers.Dense(84, name="features", **hidden)(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="features_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)
