"""EfficientNet-Lite: EfficientNets for mobile CPUs, with published weights."""

import math
from typing import NamedTuple

import keras
from keras import layers

from modelyard.models.checks import check_choice, check_dropout, check_task


class _Variant(NamedTuple):
    """Multipliers of width and depth, and the image side used in training."""

    width: float
    depth: float
    image_size: int


VARIANTS: dict[str, _Variant] = {
    "lite0": _Variant(1.0, 1.0, 224),
    "lite1": _Variant(1.0, 1.1, 240),
    "lite2": _Variant(1.1, 1.2, 260),
    "lite3": _Variant(1.2, 1.4, 280),
    "lite4": _Variant(1.4, 1.8, 300),
}

# Blocks, kernel side, stride of the first block, expansion, filters.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_FILTERS = 32
_TOP_FILTERS = 1280
# The published weights expect these.
_PIXEL_MEAN, _PIXEL_SCALE = 127.0, 128.0
_NORM = {"momentum": 0.99, "epsilon": 1e-3}
# A config, because a shared instance would draw the same numbers in every layer.
_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}
_CONV = {"padding": "same", "use_bias": False, "kernel_initializer": _INITIALIZER}


def build_efficientnet_lite(
    input_shape: tuple[int, int, int],
    num_classes: int = 1000,
    *,
    variant: str = "lite0",
    include_top: bool = True,
    dropout: float = 0.0,
    name: str = "efficientnet_lite",
) -> keras.Model:
    """Builds an EfficientNet with ReLU6 and without squeeze-and-excitation.

    All variants have the same stem, last convolution and number of blocks in the
    first and the last stage. The stochastic depth of the published training is left
    out; it has no effect at inference.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 32. The
            published weights have 3 channels and were trained at 224, 240, 260,
            280 and 300 pixels a side (`lite0` to `lite4`).
        num_classes: Number of classes, at least 2.
        variant: `"lite0"` to `"lite4"`.
        include_top: Whether the model outputs logits instead of feature maps.
        dropout: Share of the features dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`, or, without the top, to
        feature maps `(batch, ceil(height / 32), ceil(width / 32), 1280)` in the
        compute dtype. The layer `features` has 1,280 units. The layers of the blocks
        are named `block0_...`, `block1_...`, from the image to the top.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> from modelyard.models import build_efficientnet_lite
        >>> model = build_efficientnet_lite((32, 32, 3), 10)
        >>> model.output_shape
        (None, 10)

    Reference:
        [Tan and Le, 2019](https://arxiv.org/abs/1905.11946),
        [EfficientNet-Lite](https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite)
    """
    check_task(input_shape, num_classes, min_side=32)
    check_choice("variant", variant, VARIANTS)
    check_dropout(dropout)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(
        1 / _PIXEL_SCALE, offset=-_PIXEL_MEAN / _PIXEL_SCALE, name="rescale"
    )(inputs)
    x = layers.Conv2D(_STEM_FILTERS, 3, strides=2, name="stem_conv", **_CONV)(x)
    x = _normalise(x, "stem")
    for i, block in enumerate(_blocks(VARIANTS[variant])):
        x = _inverted_residual(x, *block, name=f"block{i}")
    x = layers.Conv2D(_TOP_FILTERS, 1, name="top_conv", **_CONV)(x)
    x = _normalise(x, "top")
    if not include_top:
        return keras.Model(inputs, x, name=name)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=name)


def _blocks(variant):
    """Lists kernel size, stride, expansion and filters of every block."""
    blocks = []
    for stage, (count, kernel, stride, expansion, filters) in enumerate(_STAGES):
        inner = 0 < stage < len(_STAGES) - 1
        repeats = math.ceil(count * variant.depth) if inner else count
        width = _round_filters(filters * variant.width)
        blocks.append((kernel, stride, expansion, width))
        blocks.extend([(kernel, 1, expansion, width)] * (repeats - 1))
    return blocks


def _round_filters(filters):
    """Rounds to the nearest multiple of 8, but down by at most a tenth."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8


def _inverted_residual(x, kernel, stride, expansion, filters, *, name):
    """Expands, convolves depthwise and projects; adds the input if the shapes match."""
    shortcut = x
    if expansion != 1:
        x = layers.Conv2D(
            expansion * x.shape[-1], 1, name=f"{name}_expand_conv", **_CONV
        )(x)
        x = _normalise(x, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_INITIALIZER,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _normalise(x, f"{name}_depthwise")
    x = layers.Conv2D(filters, 1, name=f"{name}_project_conv", **_CONV)(x)
    x = layers.BatchNormalization(name=f"{name}_project_norm", **_NORM)(x)
    if stride == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _normalise(x, name):
    """Applies batch normalisation and ReLU6."""
    x = layers.BatchNormalization(name=f"{name}_norm", **_NORM)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)
