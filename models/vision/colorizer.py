"""A network that adds colour to pictures, its losses, and pictures from its answers."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.checks import check_integer, check_sizes
from modelyard.models.layers.color import LabToPixels, Lightness, pixels_to_lab
from modelyard.models.layers.picture_sizes import (
    CropLike,
    PadToMultiple,
    ResizeLike,
    ShrinkShortSide,
)
from modelyard.models.vision.blocks import conv_norm_relu

_CHROMA_SCALE = 100.0
_CHUNK_PIXELS = 2**18  # Each needs a number for each colour.
_SMOOTHING = 5.0  # Of colours, in units of CIE Lab, as in the paper.


def build_colorizer(
    *,
    widths: Sequence[int] = (48, 96, 192),
    num_colors: int = 0,
    name: str = "colorizer",
) -> keras.Model:
    """Builds a U-Net that predicts chroma from lightness.

    The chroma has half the resolution, as in most JPEG files: eyes are less sensitive
    to it, and the network is four times as fast.

    Args:
        widths: Filters of each stage; every stage halves the sides.
        num_colors: 0 to predict the chroma itself, or the number of quantised colours
            of which it predicts the distribution, see `quantized_colors`.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, 3)` in [0, 255], of
        which it reads the lightness alone, to the float32 chroma `(batch,
        ceil(height / 2), ceil(width / 2), 2)`: a and b of CIE Lab. With `num_colors`,
        the output is logits, `num_colors` for each of these positions.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_colorizer(widths=(4, 8))
        >>> model.predict(np.zeros((2, 5, 7, 3)), verbose=0).shape
        (2, 3, 4, 2)

    Reference:
        [Ronneberger et al., 2015](https://arxiv.org/abs/1505.04597) (U-Net),
        [Zhang et al., 2016](https://arxiv.org/abs/1603.08511) (distribution)
    """
    check_sizes("widths", widths)
    check_integer("num_colors", num_colors, minimum=0)
    pixels = keras.Input((None, None, 3), name="pixels")
    lightness = Lightness(name="lightness")(pixels)
    half_size = layers.AveragePooling2D(2, padding="same", name="half_size")(lightness)
    x = layers.Rescaling(1 / 50, offset=-1.0, name="rescale")(lightness)
    x = PadToMultiple(2 ** len(widths), name="pad")(x)
    skips = []
    for i, filters in enumerate(widths):
        x = conv_norm_relu(x, filters, strides=2, name=f"down{i}")
        x = conv_norm_relu(x, filters, name=f"encode{i}")
        skips.append(x)
    for i, filters in reversed(list(enumerate(widths[:-1]))):
        x = layers.UpSampling2D(interpolation="nearest", name=f"up{i}")(x)
        x = layers.Concatenate(name=f"join{i}")([x, skips[i]])
        x = conv_norm_relu(x, filters, name=f"decode{i}")
    x = CropLike(name="crop")([x, half_size])
    if num_colors:
        outputs = layers.Conv2D(num_colors, 1, dtype="float32", name="logits")(x)
    else:
        # Starts with grey.
        x = layers.Conv2D(
            2, 1, kernel_initializer="zeros", dtype="float32", name="scaled_chroma"
        )(x)
        outputs = layers.Rescaling(_CHROMA_SCALE, dtype="float32", name="chroma")(x)
    return keras.Model(pixels, outputs, name=name)


def build_picture_colorizer(
    colorizer: keras.Model,
    *,
    short_side: int,
    colors: np.ndarray | None = None,
    temperature: float = 0.38,
    name: str = "picture_colorizer",
) -> keras.Model:
    """Wraps a colorizer so that it returns pictures at their full resolution.

    The colorizer reads a copy whose shorter side is at most `short_side`; its chroma is
    enlarged. The lightness of the picture is kept, except where sRGB lacks a colour.

    Args:
        colorizer: A model of `build_colorizer`; its weights are shared.
        short_side: Length of the shorter side that the colorizer was trained for.
        colors: The quantised colours `(num_colors, 2)` if it predicts their
            distribution.
        temperature: Temperature of the annealed mean of the distribution, above 0:
            1 gives the mean, values near 0 the most probable colour.
        name: Model name.

    Returns:
        A model from pixels `(batch, height, width, 3)` in [0, 255] to float32 pixels of
        the same shape and range.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> colorizer = build_colorizer(widths=(4, 8))
        >>> model = build_picture_colorizer(colorizer, short_side=8)
        >>> model.predict(np.zeros((2, 15, 21, 3)), verbose=0).shape
        (2, 15, 21, 3)

    Reference:
        [Zhang et al., 2016](https://arxiv.org/abs/1603.08511), equation 5
    """
    check_integer("short_side", short_side, minimum=1)
    if not temperature > 0:
        raise ValueError(
            f"`temperature` must be above 0. Received: temperature={temperature}"
        )
    pixels = keras.Input((None, None, 3), name="pixels")
    small = ShrinkShortSide(short_side, dtype="float32", name="shrink")(pixels)
    chroma = colorizer(small)
    if colors is not None:
        chroma = AnnealedMean(colors, temperature, name="annealed_mean")(chroma)
    lightness = Lightness(name="full_lightness")(pixels)
    chroma = ResizeLike(dtype="float32", name="enlarge")([chroma, lightness])
    outputs = LabToPixels(name="to_pixels")([lightness, chroma])
    return keras.Model(pixels, outputs, name=name)


def quantized_colors(grid: int = 10) -> np.ndarray:
    """Returns the chroma of CIE Lab that sRGB can show, on a grid.

    Args:
        grid: Distance between neighbours along a and b, at least 1.

    Returns:
        float32 `(num_colors, 2)`.
    """
    check_integer("grid", grid, minimum=1)
    # Each chroma is that of a colour on the surface of the cube, where a channel is
    # 0 or 255.
    levels = np.arange(256, dtype="float32")
    faces = np.stack(np.meshgrid([0, 255], levels, levels), axis=-1).reshape(-1, 3)
    surface = np.concatenate([np.roll(faces, shift, axis=-1) for shift in range(3)])
    lab = pixels_to_lab(ops.convert_to_tensor(surface.astype("float32")))
    chroma = ops.convert_to_numpy(lab)[:, 1:]
    return np.unique(np.round(chroma / grid), axis=0).astype("float32") * grid


def rebalancing_weights(
    pixels: np.ndarray, colors: np.ndarray, *, uniform_share: float = 0.5
) -> np.ndarray:
    """Returns weights that make rare colours count more.

    Args:
        pixels: Training pictures, uint8 `(n, height, width, 3)`.
        colors: The quantised colours `(num_colors, 2)`.
        uniform_share: Share of the uniform distribution that is mixed with that of
            the pictures, in (0, 1]; 1 gives equal weights.

    Returns:
        float32 `(num_colors,)`, with the mean 1 over the pixels.

    Raises:
        ValueError: If `uniform_share` is out of range.

    Reference:
        [Zhang et al., 2016](https://arxiv.org/abs/1603.08511), equation 4
    """
    if not 0 < uniform_share <= 1:
        raise ValueError(
            "`uniform_share` must be in (0, 1]. "
            f"Received: uniform_share={uniform_share}"
        )
    counts = np.zeros(len(colors))
    step = max(1, _CHUNK_PIXELS // (pixels.shape[1] * pixels.shape[2]))
    for start in range(0, len(pixels), step):
        batch = ops.convert_to_tensor(pixels[start : start + step].astype("float32"))
        nearest = ops.argmax(_closeness(_half_size_chroma(batch), colors), axis=-1)
        counts += np.bincount(
            ops.convert_to_numpy(nearest).ravel(), minlength=len(colors)
        )
    # Smoothed as in the paper, with a Gaussian of 5 units of chroma.
    distances = np.square(colors[:, None] - colors[None]).sum(axis=-1)
    kernel = np.exp(-distances / (2 * _SMOOTHING**2))
    shares = counts / counts.sum()
    smoothed = kernel @ (shares / kernel.sum(axis=0))
    weights = 1 / ((1 - uniform_share) * smoothed + uniform_share / len(colors))
    return (weights / (weights @ shares)).astype("float32")


@keras.saving.register_keras_serializable(package="modelyard")
class AnnealedMean(layers.Layer):
    """The mean of a distribution over colours, sharpened by a temperature.

    Args:
        colors: The quantised colours `(num_colors, 2)`.
        temperature: Above 0; 1 leaves the distribution as it is.

    Call arguments:
        inputs: Logits `(batch, height, width, num_colors)`.

    Returns:
        float32 chroma `(batch, height, width, 2)`.
    """

    def __init__(self, colors: Any, temperature: float = 0.38, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.colors = np.asarray(colors, "float32")
        self.temperature = temperature

    def call(self, inputs):
        """Returns the means."""
        return ops.matmul(ops.softmax(inputs / self.temperature), self.colors)

    def compute_output_shape(self, input_shape):
        """Returns two channels."""
        return (*input_shape[:-1], 2)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "colors": self.colors.tolist(),
            "temperature": self.temperature,
        }


@keras.saving.register_keras_serializable(package="modelyard")
class ChromaError(keras.losses.Loss):
    """Mean absolute error of chroma, in units of CIE Lab.

    The targets are the colour pictures themselves.

    Args:
        name: Name of the loss.
    """

    def __init__(self, name: str = "chroma_error", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of pixels, and chroma `(..., 2)`."""
        chroma = _half_size_chroma(y_true)
        return ops.mean(ops.abs(chroma - y_pred), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="modelyard")
class ColorCrossentropy(keras.losses.Loss):
    """Cross-entropy of a distribution over quantised colours.

    The targets are the colour pictures themselves. The colour of each pixel is spread
    over its neighbours on the grid, and its loss is multiplied by the weight of the
    nearest.

    Args:
        colors: The quantised colours `(num_colors, 2)`.
        weights: A weight for each colour, see `rebalancing_weights`.
        name: Name of the loss.

    Reference:
        [Zhang et al., 2016](https://arxiv.org/abs/1603.08511), equation 2
    """

    def __init__(
        self, colors: Any, weights: Any, name: str = "color_crossentropy", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        self.colors = np.asarray(colors, "float32")
        self.weights = np.asarray(weights, "float32")

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of pixels, and logits `(..., num_colors)`."""
        closeness = _closeness(_half_size_chroma(y_true), self.colors)
        targets = ops.softmax(closeness / (2 * _SMOOTHING**2))
        losses = -ops.sum(targets * ops.log_softmax(y_pred), axis=-1)
        weights = ops.take(
            ops.convert_to_tensor(self.weights), ops.argmax(closeness, axis=-1)
        )
        return ops.mean(weights * losses, axis=(1, 2))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "colors": self.colors.tolist(),
            "weights": self.weights.tolist(),
        }


def _half_size_chroma(pixels):
    """The chroma of pictures at half the resolution."""
    chroma = pixels_to_lab(ops.cast(pixels, "float32"))[..., 1:]
    return ops.average_pool(chroma, 2, strides=2, padding="same")


def _closeness(chroma, colors):
    """Minus the squared distance to each colour, up to a constant for each pixel."""
    squares = np.square(colors).sum(axis=-1).astype("float32")
    return 2 * ops.matmul(chroma, np.ascontiguousarray(colors.T)) - squares
