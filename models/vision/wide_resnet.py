"""Wide residual networks: fewer layers than a ResNet, but many more filters."""

import keras
from keras import layers

from modelyard.models.checks import (
    check_dropout,
    check_sizes,
    check_task,
    kernel_options,
)
from modelyard.models.layers.activations import get_activation
from modelyard.models.vision.residual_cnn import residual_stages

_STEM_FILTERS = 16


def build_wide_resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: int = 16,
    width: int = 4,
    activation: str = "relu",
    initializer: str = "he_normal",
    dropout: float = 0.0,
    l2: float = 0.0,
    name: str = "wide_resnet",
) -> keras.Model:
    """Builds a wide residual network, WRN-`depth`-`width`.

    It has three stages of pre-activation blocks, as in `build_residual_cnn`, with
    `width` times as many filters. The default has 2.7 million weights, WRN-28-10 has
    36.5 million.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 4, since the
            second and the third stage halve them.
        num_classes: Number of classes, at least 2.
        depth: Number of layers, `6 * blocks_per_stage + 4`: 10, 16, 22, 28, ...
        width: Widening factor, at least 1: the stages have `16 * width`,
            `32 * width` and `64 * width` filters.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share dropped in training between the two convolutions of each
            block, in [0, 1); the paper uses 0.3.
        l2: Factor of the L2 penalty on the kernels, at least 0; the weight decay of
            5e-4 in the paper corresponds to 2.5e-4.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        averages the last feature maps, `64 * width` units.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_wide_resnet
        >>> model = build_wide_resnet((8, 8, 1), 10, depth=10, width=1)
        >>> pixels = np.zeros((2, 8, 8, 1), "uint8")
        >>> model.predict(pixels, verbose=0).shape
        (2, 10)

    Reference:
        [Zagoruyko and Komodakis, 2016](https://arxiv.org/abs/1605.07146)
    """
    check_sizes("width", (width,), length=1)
    if not isinstance(depth, int) or depth < 10 or (depth - 4) % 6:
        raise ValueError(
            "`depth` must be an integer of at least 10 that is 4 more than a "
            f"multiple of 6. Received: depth={depth}"
        )
    check_task(input_shape, num_classes, min_side=4)
    check_dropout(dropout)
    activate = get_activation(activation)
    kernel = kernel_options(initializer, l2)
    conv = {"padding": "same", "use_bias": False, **kernel}
    widths = [filters * width for filters in (16, 32, 64)]
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = layers.Conv2D(_STEM_FILTERS, 3, name="stem", **conv)(x)
    x = residual_stages(x, widths, (depth - 4) // 6, activate, conv, dropout=dropout)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits", **kernel)(x)
    return keras.Model(inputs, logits, name=name)
