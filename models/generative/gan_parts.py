"""Inputs, outputs and checks shared by generators and discriminators."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from modelyard.models.checks import check_integer, check_sizes
from modelyard.models.generative.conditioning import modulate
from modelyard.models.generative.spectral_norm import SpectralNorm


def check_gan(
    image_shape: tuple[int, ...], widths: Sequence[int], num_classes: int
) -> None:
    """Raises ValueError unless these describe one half of a GAN."""
    check_sizes("image_shape", image_shape, length=3)
    check_sizes("widths", widths)
    check_integer("num_classes", num_classes, minimum=0)


def generator_inputs(latent_size, num_classes):
    """Returns the inputs of a generator, the latent one, and one-hot labels or None."""
    latent = keras.Input((latent_size,), name="latent")
    if not num_classes:
        return latent, latent, None
    labels = keras.Input((), dtype="int32", name="labels")
    classes = ops.one_hot(labels, num_classes)
    return {"latent": latent, "labels": labels}, latent, classes


def first_maps(latent, image_shape, filters, *, doublings, use_bias):
    """Turns latents into small feature maps that cover the image once doubled."""
    height, width = (-(-side // 2**doublings) for side in image_shape[:2])
    x = layers.Dense(height * width * filters, use_bias=use_bias, name="start")(latent)
    return layers.Reshape((height, width, filters), name="start_maps")(x)


def norm_relu(x, classes, *, name):
    """Batch normalisation, conditional on the classes if given, and ReLU."""
    conditional = classes is not None
    x = layers.BatchNormalization(
        momentum=0.9,
        center=not conditional,
        scale=not conditional,
        name=f"{name}_norm",
    )(x)
    if conditional:
        x = modulate(x, classes, name=f"{name}_class")
    return layers.ReLU(name=f"{name}_relu")(x)


def crop_center(x, image_shape):
    """Crops feature maps to the height and width of the image."""
    surplus = [x.shape[axis] - image_shape[axis - 1] for axis in (1, 2)]
    margins = [(extra // 2, extra - extra // 2) for extra in surplus]
    return layers.Cropping2D(margins, name="crop")(x)


def to_pixels(values):
    """Scales values in [-1, 1] to pixels in [0, 255]."""
    return layers.Rescaling(127.5, offset=127.5, dtype="float32", name="to_pixels")(
        values
    )


def discriminator_inputs(image_shape, num_classes):
    """Returns the inputs, scaled pixels, and one-hot labels or None."""
    pixels = keras.Input(image_shape, name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescale")(
        pixels
    )
    if not num_classes:
        return pixels, x, None
    labels = keras.Input((), dtype="int32", name="labels")
    return {"pixels": pixels, "labels": labels}, x, ops.one_hot(labels, num_classes)


def normalized(layer, *, spectral):
    """Returns the layer, with spectral normalisation if asked for."""
    return SpectralNorm(layer, name=f"{layer.name}_spectral") if spectral else layer


def discriminator_logit(features, classes, *, spectral):
    """Returns one logit for each image; labels enter as a projection.

    Reference:
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637)
    """
    dense = layers.Dense(1, dtype="float32", name="score")
    logit = normalized(dense, spectral=spectral)(features)
    if classes is not None:
        # Each column of the kernel is the embedding of a class.
        dense = layers.Dense(
            classes.shape[-1], use_bias=False, dtype="float32", name="class_scores"
        )
        scores = normalized(dense, spectral=spectral)(features)
        projection = layers.Dot(-1, dtype="float32", name="projection")
        chosen = projection([scores, classes])
        logit = layers.Add(dtype="float32", name="sum")([logit, chosen])
    return layers.Reshape((), dtype="float32", name="logit")(logit)
