"""Residual generator and discriminator after SNGAN."""

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


def build_residual_generator(
    image_shape: tuple[int, int, int],
    *,
    latent_size: int = 128,
    widths: Sequence[int] = (256, 128, 64),
    num_classes: int = 0,
    name: str = "residual_generator",
) -> keras.Model:
    """Builds a generator of residual blocks with nearest-neighbour upsampling.

    Args:
        image_shape: `(height, width, channels)` of the images, any positive sizes.
        latent_size: Length of a latent vector, at least 1.
        widths: Filters of each block. Each doubles the sides; the surplus is cropped.
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
        >>> model = build_residual_generator((7, 9, 3), latent_size=4, widths=(8, 8))
        >>> model.predict(np.zeros((2, 4)), verbose=0).shape
        (2, 7, 9, 3)

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957),
        [Dumoulin et al., 2017](https://arxiv.org/abs/1610.07629) (conditional
        normalisation)
    """
    check_gan(image_shape, widths, num_classes)
    check_integer("latent_size", latent_size, minimum=1)
    inputs, latent, classes = generator_inputs(latent_size, num_classes)
    x = first_maps(latent, image_shape, widths[0], doublings=len(widths), use_bias=True)
    for i, filters in enumerate(widths):
        x = _up_block(x, filters, classes, name=f"up{i}")
    x = crop_center(norm_relu(x, classes, name="last"), image_shape)
    values = layers.Conv2D(
        image_shape[2],
        3,
        padding="same",
        activation="tanh",
        dtype="float32",
        name="values",
    )(x)
    return keras.Model(inputs, to_pixels(values), name=name)


def build_residual_discriminator(
    image_shape: tuple[int, int, int],
    *,
    widths: Sequence[int] = (64, 128, 256),
    num_classes: int = 0,
    spectral_normalization: bool = False,
    name: str = "residual_discriminator",
) -> keras.Model:
    """Builds a discriminator of residual blocks with average pooling.

    Args:
        image_shape: `(height, width, channels)` of the images, any positive sizes.
        widths: Filters of each block; each halves the sides, rounded up.
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
        >>> model = build_residual_discriminator((7, 9, 3), widths=(8, 8))
        >>> model.predict(np.zeros((2, 7, 9, 3)), verbose=0).shape
        (2,)

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957),
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637) (projection)
    """
    check_gan(image_shape, widths, num_classes)
    spectral = spectral_normalization
    inputs, x, classes = discriminator_inputs(image_shape, num_classes)
    for i, filters in enumerate(widths):
        x = _down_block(x, filters, is_first=not i, spectral=spectral, name=f"down{i}")
    x = layers.ReLU(name="last_relu")(x)
    # The sum, as published: after a mean, spectral normalisation would keep the
    # logits small.
    area = float(x.shape[1] * x.shape[2])
    x = layers.GlobalAveragePooling2D(dtype="float32", name="mean")(x)
    features = layers.Rescaling(area, dtype="float32", name="features")(x)
    outputs = discriminator_logit(features, classes, spectral=spectral)
    return keras.Model(inputs, outputs, name=name)


def _up_block(x, filters, classes, *, name):
    """Two convolutions at double the resolution, added to an upsampled shortcut."""
    shortcut = x
    if x.shape[-1] != filters:
        # Before the upsampling: the same result at a quarter of the cost.
        shortcut = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(x)
    shortcut = layers.UpSampling2D(name=f"{name}_shortcut_up")(shortcut)
    x = norm_relu(x, classes, name=f"{name}_0")
    x = layers.UpSampling2D(name=f"{name}_up")(x)
    x = layers.Conv2D(
        filters, 3, padding="same", use_bias=False, name=f"{name}_0_conv"
    )(x)
    x = norm_relu(x, classes, name=f"{name}_1")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_1_conv")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _down_block(x, filters, *, is_first, spectral, name):
    """Two convolutions and a shortcut, both pooled to half the resolution."""
    # Pooling and a 1x1 convolution commute; pooling first is cheaper.
    shortcut = _pool(x, name=f"{name}_shortcut_pool")
    if x.shape[-1] != filters:
        convolution = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")
        shortcut = normalized(convolution, spectral=spectral)(shortcut)
    for i in range(2):
        if i or not is_first:  # A ReLU on pixels would lose the dark ones.
            x = layers.ReLU(name=f"{name}_{i}_relu")(x)
        convolution = layers.Conv2D(
            filters,
            3,
            padding="same",
            kernel_initializer="he_normal",
            name=f"{name}_{i}_conv",
        )
        x = normalized(convolution, spectral=spectral)(x)
    x = _pool(x, name=f"{name}_pool")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _pool(x, *, name):
    """Average pooling to half the sides, rounded up."""
    return layers.AveragePooling2D(2, padding="same", name=name)(x)
