"""Wide residual networks: fewer layers than a ResNet, with many more filters."""

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
    """Builds the network known as WRN-`depth`-`width`.

    Three stages of pre-activation blocks, as in `build_residual_cnn`, with `width`
    times the filters. The default has 2.7 million weights, WRN-28-10 36.5 million.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 4, since the
            second and the third stage halve them.
        num_classes: Number of classes, at least 2.
        depth: 4 more than 6 times the blocks of a stage: 10, 16, 22, 28, 34, 40, ...
        width: Factor of the filters, at least 1: the stages have 16, 32 and 64
            times as many.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        initializer: Keras name of the kernels' initializer.
        dropout: Share of the numbers dropped between the two convolutions of each
            block in training, in [0, 1); 0.3 in the paper where it helps.
        l2: Factor of the L2 penalty on the kernels, at least 0; the paper's weight
            decay of 5e-4 is a factor of 2.5e-4.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features`
        averages the last maps, `64 * width` numbers.

    Raises:
        ValueError: If an argument is out of range or names nothing known.

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
