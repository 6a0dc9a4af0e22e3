"""Networks that remove noise from pictures of any size."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from modelyard.models.checks import check_integer, check_sizes
from modelyard.models.layers.picture_sizes import CropLike, PadToMultiple
from modelyard.models.vision.blocks import conv_norm_relu


def build_residual_denoiser(
    channels: int,
    *,
    depth: int = 12,
    width: int = 64,
    downscale: int = 2,
    shortcuts: bool = True,
    noise_map: bool = False,
    name: str = "residual_denoiser",
) -> keras.Model:
    """Builds a convolutional network that predicts the noise, after DnCNN.

    With `downscale` above 1 the convolutions run on the sub-images of every second
    (third, ...) pixel, as in FFDNet, which is faster and sees more of the picture. With
    `shortcuts`, as in EDSR, it learns several times as fast, above all in colour.

    Args:
        channels: Channels of the pictures, 1 or more.
        depth: Number of convolutions, an even number of at least 4.
        width: Filters of each.
        downscale: Factor between the picture and the sub-images; 1 for DnCNN as
            published.
        shortcuts: Whether each pair of convolutions has a shortcut. Without them, the
            convolutions are plain and batch-normalised, as in DnCNN and FFDNet.
        noise_map: Whether the noise level is a second input, as in FFDNet. One model
            then serves all levels it was trained for.
        name: Model name.

    Returns:
        An uncompiled model from noisy pixels `(batch, height, width, channels)` to
        float32 clean pixels of the same shape. Pixels are in [0, 255]; noisy ones may
        exceed this range. With `noise_map`, the inputs are `pixels` and `noise_level`
        `(batch,)`, the standard deviation of the noise in units of pixels.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_residual_denoiser(3, depth=4, width=8)
        >>> model.predict(np.zeros((2, 5, 7, 3)), verbose=0).shape
        (2, 5, 7, 3)

    Reference:
        [Zhang et al., 2017](https://arxiv.org/abs/1608.03981) (DnCNN),
        [Zhang et al., 2018](https://arxiv.org/abs/1710.04026) (FFDNet),
        [Lim et al., 2017](https://arxiv.org/abs/1707.02921) (EDSR)
    """
    check_integer("channels", channels, minimum=1)
    check_integer("depth", depth, minimum=4)
    if depth % 2:
        raise ValueError(f"`depth` must be an even number. Received: depth={depth}")
    check_integer("width", width, minimum=1)
    check_integer("downscale", downscale, minimum=1)
    pixels = keras.Input((None, None, channels), name="pixels")
    scaled = layers.Rescaling(1 / 255, dtype="float32", name="rescale")(pixels)
    x = PadToMultiple(downscale, name="pad")(scaled)
    if downscale > 1:
        x = ops.space_to_depth(x, downscale)
    inputs = pixels
    if noise_map:
        level = keras.Input((), name="noise_level")
        inputs = {"pixels": pixels, "noise_level": level}
        level_map = ops.reshape(level / 255, (-1, 1, 1, 1)) * ops.ones_like(x[..., :1])
        x = layers.Concatenate(name="with_noise_map")([x, level_map])
    body = _shortcut_body if shortcuts else _plain_body
    x = body(x, depth - 1, width)
    x = layers.Conv2D(
        channels * downscale**2,
        3,
        padding="same",
        kernel_initializer="zeros",  # An untrained model changes nothing.
        name=f"conv{depth - 1}",
    )(x)
    x = layers.Activation("linear", dtype="float32", name="noise")(x)
    if downscale > 1:
        x = ops.depth_to_space(x, downscale)
    x = CropLike(dtype="float32", name="crop")([x, scaled])
    x = layers.Subtract(dtype="float32", name="clean")([scaled, x])
    outputs = layers.Rescaling(255.0, dtype="float32", name="to_pixels")(x)
    return keras.Model(inputs, outputs, name=name)


def build_blind_denoiser(
    denoiser: keras.Model, *, name: str = "blind_denoiser"
) -> keras.Model:
    """Gives a denoiser with a noise map an estimate of the noise level.

    Args:
        denoiser: A model of `build_residual_denoiser` with `noise_map`; its weights are
            shared.
        name: Model name.

    Returns:
        A model from noisy pixels alone to clean ones.

    Example:
        >>> import numpy as np
        >>> denoiser = build_residual_denoiser(3, depth=4, width=8, noise_map=True)
        >>> model = build_blind_denoiser(denoiser)
        >>> model.predict(np.zeros((2, 5, 7, 3)), verbose=0).shape
        (2, 5, 7, 3)
    """
    pixels = keras.Input(denoiser.input["pixels"].shape[1:], name="pixels")
    level = NoiseLevel(name="estimated_level")(pixels)
    outputs = denoiser({"pixels": pixels, "noise_level": level})
    return keras.Model(pixels, outputs, name=name)


@keras.saving.register_keras_serializable(package="modelyard")
class NoiseLevel(layers.Layer):
    """Estimates the standard deviation of white noise in pictures.

    It is the median absolute deviation of the finest diagonal Haar coefficients, over
    all channels. Pictures with a side of 1 get 0.

    Call arguments:
        inputs: Pixels `(batch, height, width, channels)`.

    Returns:
        float32 `(batch,)`, in the units of the pixels.

    Reference:
        [Donoho and Johnstone, 1994](https://doi.org/10.1093/biomet/81.3.425)
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        """Returns the estimates."""
        height, width = (size // 2 * 2 for size in ops.shape(inputs)[1:3])
        even, odd = inputs[:, 0:height:2], inputs[:, 1:height:2]
        difference = even - odd
        diagonal = (difference[:, :, 0:width:2] - difference[:, :, 1:width:2]) / 2
        sizes = ops.abs(ops.reshape(diagonal, (ops.shape(inputs)[0], -1)))
        # A zero for pictures without any coefficient.
        sizes = ops.pad(sizes, ((0, 0), (0, 1)))
        return ops.median(sizes, axis=1) / 0.6745

    def compute_output_shape(self, input_shape):
        """Returns one number for each picture."""
        return (input_shape[0],)


def build_denoising_autoencoder(
    channels: int,
    *,
    widths: Sequence[int] = (32, 64),
    code_filters: int = 16,
    name: str = "denoising_autoencoder",
) -> keras.Model:
    """Builds a convolutional denoising autoencoder with a bottleneck.

    Args:
        channels: Channels of the pictures, 1 or more.
        widths: Filters of each stage; every stage halves the sides.
        code_filters: Filters of the bottleneck.
        name: Model name.

    Returns:
        An uncompiled model from noisy pixels `(batch, height, width, channels)` to
        float32 clean pixels of the same shape, in [0, 255].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_denoising_autoencoder(1, widths=(8,))
        >>> model.predict(np.zeros((2, 5, 7, 1)), verbose=0).shape
        (2, 5, 7, 1)

    Reference:
        [Vincent et al., 2008](https://doi.org/10.1145/1390156.1390294)
    """
    check_integer("channels", channels, minimum=1)
    check_sizes("widths", widths)
    check_integer("code_filters", code_filters, minimum=1)
    inputs = keras.Input((None, None, channels), name="pixels")
    scaled = layers.Rescaling(1 / 255, name="rescale")(inputs)
    x = PadToMultiple(2 ** len(widths), name="pad")(scaled)
    for i, filters in enumerate(widths):
        x = conv_norm_relu(x, filters, strides=2, name=f"down{i}")
    x = conv_norm_relu(x, code_filters, name="code")
    for i, filters in reversed(list(enumerate(widths))):
        x = conv_norm_relu(
            x, filters, strides=2, convolution=layers.Conv2DTranspose, name=f"up{i}"
        )
    x = CropLike(name="crop")([x, scaled])
    x = layers.Conv2D(
        channels,
        3,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="values",
    )(x)
    outputs = layers.Rescaling(255.0, dtype="float32", name="to_pixels")(x)
    return keras.Model(inputs, outputs, name=name)


def _plain_body(x, depth, width):
    """Convolutions with batch normalisation, except for the first, and ReLU."""
    x = layers.Conv2D(width, 3, padding="same", activation="relu", name="conv0")(x)
    for i in range(1, depth):
        x = layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{i}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    return x


def _shortcut_body(x, depth, width):
    """A convolution, and pairs of convolutions with shortcuts."""
    x = layers.Conv2D(width, 3, padding="same", name="conv0")(x)
    for i in range(1, depth, 2):
        y = x
        for j, activation in ((i, "relu"), (i + 1, None)):
            y = layers.Conv2D(
                width,
                3,
                padding="same",
                activation=activation,
                kernel_initializer="he_normal",
                name=f"conv{j}",
            )(y)
        x = layers.Add(name=f"add{i}")([x, y])
    return x
