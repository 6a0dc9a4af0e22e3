"""Image classifiers without convolutions: single-layer and multilayer perceptron."""

from collections.abc import Sequence

import keras
from keras import layers

from modelyard.models.checks import (
    check_dropout,
    check_sizes,
    check_task,
    kernel_options,
)
from modelyard.models.layers.activations import get_activation


def build_perceptron(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    initializer: str = "glorot_uniform",
    l2: float = 0.0,
    name: str = "perceptron",
) -> keras.Model:
    """Builds a single-layer perceptron: softmax regression on the pixels.

    Args:
        input_shape: `(height, width, channels)`, any positive sizes.
        num_classes: Number of classes, at least 2.
        initializer: Keras name of the kernel's initializer.
        l2: Factor of the L2 penalty on the kernel, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        outputs the flattened pixels, scaled to [0, 1].

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_perceptron
        >>> model = build_perceptron((8, 8, 1), 10)
        >>> pixels = np.zeros((2, 8, 8, 1), "uint8")
        >>> model.predict(pixels, verbose=0).shape
        (2, 10)

    Reference:
        [Rosenblatt, 1958](https://doi.org/10.1037/h0042519)
    """
    check_task(input_shape, num_classes)
    kernel = kernel_options(initializer, l2)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Flatten(name="features")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)


def build_mlp(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    hidden_units: Sequence[int] = (512, 512),
    activation: str = "relu",
    initializer: str = "glorot_uniform",
    dropout: float = 0.2,
    l2: float = 0.0,
    name: str = "mlp",
) -> keras.Model:
    """Builds a multilayer perceptron: dense layers, each followed by dropout.

    Args:
        input_shape: `(height, width, channels)`, any positive sizes.
        num_classes: Number of classes, at least 2.
        hidden_units: Units of each hidden layer; at least one layer.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share of each hidden layer dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the kernels, at least 0.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        is the last hidden layer.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from modelyard.models import build_mlp
        >>> model = build_mlp((8, 8, 1), 10, hidden_units=(32, 16))
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss)
        >>> pixels = np.zeros((4, 8, 8, 1), "uint8")
        >>> history = model.fit(pixels, np.array([0, 1, 2, 3]), verbose=0)
        >>> model.output_shape
        (None, 10)

    Reference:
        [Rumelhart et al., 1986](https://doi.org/10.1038/323533a0),
        [Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html)
    """
    check_task(input_shape, num_classes)
    check_sizes("hidden_units", hidden_units)
    check_dropout(dropout)
    activate = get_activation(activation)
    kernel = kernel_options(initializer, l2)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Flatten(name="flatten")(x)
    last = len(hidden_units) - 1
    for i, units in enumerate(hidden_units):
        layer_name = "features" if i == last else f"hidden{i}"
        x = layers.Dense(units, activation=activate, name=layer_name, **kernel)(x)
        if dropout > 0:
            x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)
