"""Residual networks for small images."""

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


def build_residual_cnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    blocks_per_stage: int = 3,
    widths: Sequence[int] = (16, 32, 64),
    activation: str = "relu",
    initializer: str = "he_normal",
    dropout: float = 0.0,
    l2: float = 0.0,
    name: str = "residual_cnn",
) -> keras.Model:
    """Builds a pre-activation residual network.

    The defaults are ResNet-20 for images of 32x32. With three stages the depth is
    `6 * blocks_per_stage + 2`, so 5, 7, 9 and 18 blocks give ResNet-32, 44, 56
    and 110.

    Args:
        input_shape: `(height, width, channels)`; both sides at least
            `2 ** (len(widths) - 1)`, so that every later stage can halve them.
        num_classes: Number of classes, at least 2.
        blocks_per_stage: Blocks of two convolutions in each stage, at least 1.
        widths: Filters per stage; each stage after the first halves the sides.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share of the features dropped in training, in [0, 1).
        l2: Factor of the L2 penalty on the kernels, at least 0; the weight decay of
            1e-4 in the paper corresponds to 5e-5.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        averages the last feature maps, `widths[-1]` units.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_residual_cnn
        >>> model = build_residual_cnn((8, 8, 1), 10, blocks_per_stage=1, widths=(4, 8))
        >>> pixels = np.zeros((2, 8, 8, 1), "uint8")
        >>> model.predict(pixels, verbose=0).shape
        (2, 10)

    Reference:
        [He et al., 2016a](https://arxiv.org/abs/1512.03385) (sizes),
        [He et al., 2016b](https://arxiv.org/abs/1603.05027) (pre-activation)
    """
    check_sizes("widths", widths)
    check_sizes("blocks_per_stage", (blocks_per_stage,), length=1)
    check_task(input_shape, num_classes, min_side=2 ** (len(widths) - 1))
    check_dropout(dropout)
    activate = get_activation(activation)
    kernel = kernel_options(initializer, l2)
    conv = {"padding": "same", "use_bias": False, **kernel}
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Conv2D(widths[0], 3, name="stem", **conv)(x)
    x = residual_stages(x, widths, blocks_per_stage, activate, conv)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)


def residual_stages(x, widths, blocks_per_stage, activate, conv, *, dropout=0.0):
    """Stacks pre-activation blocks; each stage after the first halves the sides.

    Args:
        x: Feature maps `(batch, height, width, channels)`.
        widths: Filters per stage.
        blocks_per_stage: Blocks of two convolutions in each stage.
        activate: Activation function.
        conv: Keyword arguments of every convolution.
        dropout: Share dropped in training between the convolutions of a block.

    Returns:
        The normalised and activated feature maps of the last stage.
    """
    for stage, filters in enumerate(widths):
        for block in range(blocks_per_stage):
            name = f"stage{stage}_block{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            x = _residual_block(x, filters, stride, activate, conv, dropout, name=name)
    x = layers.BatchNormalization(name="head_norm")(x)
    return layers.Activation(activate, name="head_activation")(x)


def _residual_block(x, filters, stride, activate, conv, dropout, *, name):
    """Adds two normalised 3x3 convolutions to a shortcut."""
    shortcut = x
    x = layers.BatchNormalization(name=f"{name}_norm0")(x)
    x = layers.Activation(activate, name=f"{name}_activation0")(x)
    if stride != 1 or shortcut.shape[-1] != filters:
        # Projected after the activation, as in the second paper.
        shortcut = layers.Conv2D(
            filters, 1, strides=stride, name=f"{name}_shortcut", **conv
        )(x)
    x = layers.Conv2D(filters, 3, strides=stride, name=f"{name}_conv0", **conv)(x)
    x = layers.BatchNormalization(name=f"{name}_norm1")(x)
    x = layers.Activation(activate, name=f"{name}_activation1")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = layers.Conv2D(filters, 3, name=f"{name}_conv1", **conv)(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])
