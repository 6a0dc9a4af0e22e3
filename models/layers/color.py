"""Colours in CIE Lab, and layers that convert pixels."""

import keras
import numpy as np
from keras import layers, ops

# sRGB to CIE XYZ under the illuminant D65, relative to its white.
_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_WHITE = (_TO_XYZ / _WHITE[:, None]).T.astype("float32")
_FROM_WHITE = np.linalg.inv(_TO_WHITE.astype("float64")).astype("float32")
_LINEAR_BELOW = 0.008856


def pixels_to_lab(pixels):
    """Converts sRGB pixels to CIE Lab.

    Args:
        pixels: Float tensor `(..., 3)` in [0, 255].

    Returns:
        A tensor `(..., 3)`: lightness in [0, 100], and a and b, about -110 to 110.
    """
    values = pixels / 255
    linear = ops.where(
        values > 0.04045,
        ((ops.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4,
        values / 12.92,
    )
    x, y, z = ops.unstack(_lab_curve(ops.matmul(linear, _TO_WHITE)), 3, axis=-1)
    return ops.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_pixels(lab):
    """Converts CIE Lab to sRGB pixels.

    Args:
        lab: Float tensor `(..., 3)`, as from `pixels_to_lab`. Colours that sRGB lacks
            are clipped.

    Returns:
        A tensor `(..., 3)` in [0, 255].
    """
    lightness, a, b = ops.unstack(lab, 3, axis=-1)
    y = (lightness + 16) / 116
    curved = ops.stack([y + a / 500, y, y - b / 200], axis=-1)
    relative = ops.where(
        curved > _LINEAR_BELOW ** (1 / 3), curved**3, (curved - 16 / 116) / 7.787
    )
    linear = ops.clip(ops.matmul(relative, _FROM_WHITE), 0, 1)
    values = ops.where(
        linear > 0.0031308,
        1.055 * ops.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
        12.92 * linear,
    )
    return 255 * values


def _lab_curve(relative):
    """The cube root, with a straight piece near black."""
    root = ops.maximum(relative, _LINEAR_BELOW) ** (1 / 3)
    return ops.where(relative > _LINEAR_BELOW, root, 7.787 * relative + 16 / 116)


@keras.saving.register_keras_serializable(package="modelyard")
class Lightness(layers.Layer):
    """The lightness of CIE Lab.

    Call arguments:
        inputs: Pixels `(batch, height, width, 3)` in [0, 255].

    Returns:
        float32 `(batch, height, width, 1)` in [0, 100].
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        """Converts the pixels."""
        return pixels_to_lab(inputs)[..., :1]

    def compute_output_shape(self, input_shape):
        """Returns one channel."""
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="modelyard")
class LabToPixels(layers.Layer):
    """Joins lightness and chroma to pixels.

    Call arguments:
        inputs: Lightness `(batch, height, width, 1)`, and a and b of CIE Lab
            `(batch, height, width, 2)`.

    Returns:
        float32 `(batch, height, width, 3)` in [0, 255].
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        """Converts the colours."""
        return lab_to_pixels(ops.concatenate(inputs, axis=-1))

    def compute_output_shape(self, input_shape):
        """Returns three channels."""
        return (*input_shape[0][:-1], 3)
