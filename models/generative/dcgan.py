"""Convolutional generator and discriminator after DCGAN."""

from collections.abc import Sequence

import keras
from keras import layers

from modelyard.models.checks import check_integer
from modelyard.models.generative.gan_parts import (
    check_gan,
    crop_center,
    discriminator_inputs,
    discriminator_logit,
    first_maps,
    generator_inputs,
    norm_relu,
    normalized,
    to_pixels,
)


def build_dcgan_generator(
    image_shape: tuple[int, int, int],
    *,
    latent_size: int = 128,
    widths: Sequence[int] = (256, 128, 64),
    num_classes: int = 0,
    name: str = "dcgan_generator",
) -> keras.Model:
    """Builds a generator of transposed convolutions.

    The kernels are 4x4 rather than 5x5: a size that the stride divides avoids
    checkerboard patterns.

    Args:
        image_shape: `(height, width, channels)` of the images, any positive sizes.
        latent_size: Length of a latent vector, at least 1.
        widths: Filters before each transposed convolution. Each of these doubles the
            sides; the surplus is cropped.
        num_classes: 0, or the number of classes; labels then condition every batch
            normalisation.
        name: Model name.

    Returns:
        An uncompiled model from `latent` `(batch, latent_size)`, drawn from a standard
        normal distribution, to float32 pixels `(batch, height, width, channels)` in
        [0, 255]. With `num_classes`, the inputs are `latent` and `labels`, int32
        `(batch,)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_dcgan_generator((7, 9, 3), latent_size=4, widths=(8, 8))
        >>> model.predict(np.zeros((2, 4)), verbose=0).shape
        (2, 7, 9, 3)

    Reference:
        [Radford et al., 2016](https://arxiv.org/abs/1511.06434),
        [Dumoulin et al., 2017](https://arxiv.org/abs/1610.07629) (conditional
        normalisation)
    """
    check_gan(image_shape, widths, num_classes)
    check_integer("latent_size", latent_size, minimum=1)
    inputs, latent, classes = generator_inputs(latent_size, num_classes)
    x = first_maps(
        latent, image_shape, widths[0], doublings=len(widths), use_bias=False
    )
    x = norm_relu(x, classes, name="start")
    for i, filters in enumerate(widths[1:]):
        x = layers.Conv2DTranspose(
            filters, 4, strides=2, padding="same", use_bias=False, name=f"up{i}_conv"
        )(x)
        x = norm_relu(x, classes, name=f"up{i}")
    x = layers.Conv2DTranspose(
        image_shape[2],
        4,
        strides=2,
        padding="same",
        activation="tanh",
        dtype="float32",
        name="values",
    )(x)
    outputs = to_pixels(crop_center(x, image_shape))
    return keras.Model(inputs, outputs, name=name)


def build_dcgan_discriminator(
    image_shape: tuple[int, int, int],
    *,
    widths: Sequence[int] = (64, 128, 256),
    num_classes: int = 0,
    spectral_normalization: bool = False,
    name: str = "dcgan_discriminator",
) -> keras.Model:
    """Builds a discriminator of strided convolutions.

    Unlike the published one it has no batch normalisation, so that each logit depends
    on its own image alone, as gradient penalties require.

    Args:
        image_shape: `(height, width, channels)` of the images, any positive sizes.
        widths: Filters of each convolution; each halves the sides, rounded up.
        num_classes: 0, or the number of classes; labels then enter as a projection.
        spectral_normalization: Whether to divide every kernel by its largest singular
            value. Its estimate is updated by calls with `training=True`.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in [0, 255]
        to float32 logits `(batch,)`, high for real images. With `num_classes`, the
        inputs are `pixels` and `labels`, int32 `(batch,)`. The pixels are scaled to
        [-1, 1] inside: gradients with respect to scaled pixels, which penalties are
        published for, are 127.5 times those with respect to the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_dcgan_discriminator((7, 9, 3), widths=(8, 8))
        >>> model.predict(np.zeros((2, 7, 9, 3)), verbose=0).shape
        (2,)

    Reference:
        [Radford et al., 2016](https://arxiv.org/abs/1511.06434),
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957) (spectral
        normalisation),
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637) (projection)
    """
    check_gan(image_shape, widths, num_classes)
    spectral = spectral_normalization
    inputs, x, classes = discriminator_inputs(image_shape, num_classes)
    for i, filters in enumerate(widths):
        convolution = layers.Conv2D(
            filters,
            4,
            strides=2,
            padding="same",
            kernel_initializer="he_normal",
            name=f"down{i}_conv",
        )
        x = normalized(convolution, spectral=spectral)(x)
        x = layers.LeakyReLU(0.2, name=f"down{i}_relu")(x)
    features = layers.Flatten(name="features")(x)
    outputs = discriminator_logit(features, classes, spectral=spectral)
    return keras.Model(inputs, outputs, name=name)
