"""Layers that let a network read pictures of any size."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="modelyard")
class PadToMultiple(layers.Layer):
    """Repeats the last row and column until both sides are multiples of a number.

    Args:
        multiple: The number, at least 1.

    Call arguments:
        inputs: Pictures `(batch, height, width, channels)`.

    Returns:
        Pictures of the same dtype, extended at the bottom and at the right.
    """

    def __init__(self, multiple: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs):
        """Extends the pictures."""
        for axis in (1, 2):
            size = ops.shape(inputs)[axis]
            padded = -(-size // self.multiple) * self.multiple
            rows = ops.minimum(ops.arange(padded, dtype="int32"), size - 1)
            inputs = ops.take(inputs, rows, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        """Returns the rounded-up shape; unknown sizes stay unknown."""
        batch, *sides, channels = input_shape
        rounded = [side and -(-side // self.multiple) * self.multiple for side in sides]
        return (batch, *rounded, channels)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="modelyard")
class CropLike(layers.Layer):
    """Cuts pictures to the height and width of others, from the upper left corner.

    Call arguments:
        inputs: Pictures `(batch, height, width, channels)`, and those whose size they
            get, which are no larger.

    Returns:
        The first pictures, cut.
    """

    def call(self, inputs):
        """Cuts the pictures."""
        pictures, others = inputs
        height, width = ops.shape(others)[1:3]
        return pictures[:, :height, :width]

    def compute_output_shape(self, input_shape):
        """Returns the size of the second with the channels of the first."""
        pictures, others = input_shape
        return (*others[:3], pictures[3])


@keras.saving.register_keras_serializable(package="modelyard")
class ShrinkShortSide(layers.Layer):
    """Shrinks pictures so that their shorter side has a given length.

    The filter is bilinear and antialiased. The aspect ratio is kept to the nearest
    pixel. Pictures whose shorter side is no longer than that are not changed.

    Args:
        side: Length of the shorter side, at least 1.

    Call arguments:
        inputs: Pictures `(batch, height, width, channels)`.

    Returns:
        Resized pictures in the same dtype.
    """

    def __init__(self, side: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.side = side

    def call(self, inputs):
        """Resizes the pictures."""
        return resize_bilinear(inputs, *self._sizes(*ops.shape(inputs)[1:3]))

    def compute_output_shape(self, input_shape):
        """Returns the shape; sides that depend on the picture are unknown."""
        batch, height, width, channels = input_shape
        if height is None or width is None:
            return (batch, None, None, channels)
        return (batch, *self._sizes(height, width), channels)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "side": self.side}

    def _sizes(self, height, width):
        """The new height and width, rounded to the nearest whole number."""
        if isinstance(height, int) and isinstance(width, int):
            # Known sizes must not become tensors in JAX.
            shorter = max(min(height, width), self.side)
        else:
            shorter = ops.maximum(ops.minimum(height, width), self.side)
        return [
            (2 * size * self.side + shorter) // (2 * shorter)
            for size in (height, width)
        ]


@keras.saving.register_keras_serializable(package="modelyard")
class ResizeLike(layers.Layer):
    """Resizes pictures to the height and width of others, with a bilinear filter.

    Call arguments:
        inputs: Pictures `(batch, height, width, channels)`, and those whose size they
            get.

    Returns:
        The first pictures, resized.
    """

    def call(self, inputs):
        """Resizes the pictures."""
        pictures, others = inputs
        height, width = ops.shape(others)[1:3]
        return resize_bilinear(pictures, height, width)

    def compute_output_shape(self, input_shape):
        """Returns the size of the second with the channels of the first."""
        pictures, others = input_shape
        return (*others[:3], pictures[3])


@keras.saving.register_keras_serializable(package="modelyard")
class BicubicUpscaling(layers.Layer):
    """Enlarges pictures by a whole factor with Keys' cubic filter.

    The filter has the parameter -0.5, as in MATLAB's `imresize` and in Pillow. Values
    beyond the border repeat those at the border. Nothing is trained.

    Args:
        scale: The factor, at least 1.

    Call arguments:
        inputs: Pictures `(batch, height, width, channels)`.

    Returns:
        Pictures `(batch, scale * height, scale * width, channels)`.

    Reference:
        [Keys, 1981](https://doi.org/10.1109/TASSP.1981.1163711)
    """

    def __init__(self, scale: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        """Enlarges the pictures along each axis."""
        for axis in (1, 2):
            size = ops.shape(inputs)[axis]
            center = ops.arange(size, dtype="int32")
            phases = []
            for weights in _phase_weights(self.scale):
                total = 0.0
                for offset, weight in zip(range(-2, 3), weights, strict=True):
                    if weight:
                        rows = ops.clip(center + offset, 0, size - 1)
                        total = total + float(weight) * ops.take(inputs, rows, axis)
                phases.append(total)
            stacked = ops.stack(phases, axis=axis + 1)
            shape = list(ops.shape(inputs))
            shape[axis] = size * self.scale
            inputs = ops.reshape(stacked, shape)
        return inputs

    def compute_output_shape(self, input_shape):
        """Returns the enlarged shape; unknown sizes stay unknown."""
        batch, *sides, channels = input_shape
        return (batch, *(side and side * self.scale for side in sides), channels)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}


def resize_bilinear(pictures, height, width):
    """Resizes pictures with an antialiased bilinear filter.

    Sizes may be unknown until the model runs, unlike those of
    `keras.ops.image.resize`.

    Args:
        pictures: Float tensor `(batch, height, width, channels)`.
        height: New height, an integer or a scalar int32 tensor.
        width: New width, as `height`.

    Returns:
        A tensor `(batch, height, width, channels)`.
    """
    shape = ops.shape(pictures)
    rows = _bilinear_weights(height, shape[1], pictures.dtype)
    columns = _bilinear_weights(width, shape[2], pictures.dtype)
    # Along the rows first: one matrix product of each axis.
    pictures = ops.einsum("or,brwc->bowc", rows, pictures)
    return ops.einsum("pw,bowc->bopc", columns, pictures)


def _bilinear_weights(out_size, in_size, dtype):
    """The share of each old position in each new one, `(out_size, in_size)`."""
    ratio = ops.cast(in_size, "float32") / ops.cast(out_size, "float32")
    reach = ops.maximum(ratio, 1.0)  # Wider where the picture shrinks.
    new = (ops.cast(ops.arange(out_size, dtype="int32"), "float32") + 0.5) * ratio - 0.5
    old = ops.cast(ops.arange(in_size, dtype="int32"), "float32")
    weights = ops.relu(1 - ops.abs(old[None] - new[:, None]) / reach)
    total = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-6)
    return ops.cast(weights / total, dtype)


def _phase_weights(scale):
    """Weights of the pixels -2 to 2 for each of the `scale` new pixels."""
    offsets = np.arange(-2, 3)
    centers = (np.arange(scale) + 0.5) / scale - 0.5
    distance = np.abs(offsets[None] - centers[:, None])
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
