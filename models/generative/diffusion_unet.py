"""The U-Net of a diffusion model."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.checks import check_integer, check_sizes
from modelyard.models.generative.conditioning import modulate
from modelyard.models.layers.picture_sizes import CropLike, PadToMultiple

_FREQUENCIES = 32


def build_diffusion_unet(
    image_shape: tuple[int, int, int],
    *,
    widths: Sequence[int] = (32, 64, 128),
    blocks: int = 2,
    num_classes: int = 0,
    name: str = "diffusion_unet",
) -> keras.Model:
    """Builds a U-Net that predicts the velocity of a diffusion process.

    A noisy image is `sqrt(1 - noise_variance) * image + sqrt(noise_variance) * noise`,
    and its velocity is `sqrt(1 - noise_variance) * noise - sqrt(noise_variance) *
    image`. From both follow::

        image = sqrt(1 - noise_variance) * noisy - sqrt(noise_variance) * velocity
        noise = sqrt(noise_variance) * noisy + sqrt(1 - noise_variance) * velocity

    Unlike the noise, the velocity determines the image at every noise level, pure noise
    included. The model knows the noise level but no schedule, so both training and
    sampling may choose their own.

    Args:
        image_shape: `(height, width, channels)` of the images, any positive sizes.
        widths: Filters of each stage; every stage after the first halves the sides.
        blocks: Residual blocks of each stage, at least 1.
        num_classes: 0, or the number of classes of a third input.
        name: Model name.

    Returns:
        An uncompiled model from `noisy` `(batch, height, width, channels)`, of images
        scaled to [-1, 1], and `noise_variance` `(batch,)` in [0, 1], to float32
        velocities shaped like `noisy`, of any size. With `num_classes`, `labels`, int32
        `(batch,)` in [0, num_classes], is the third input; `num_classes` itself means
        "no label", for classifier-free guidance. Untrained models predict 0.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> model = build_diffusion_unet((5, 7, 1), widths=(8, 8), blocks=1)
        >>> inputs = {"noisy": np.zeros((2, 5, 7, 1)), "noise_variance": np.ones(2)}
        >>> model.predict(inputs, verbose=0).shape
        (2, 5, 7, 1)

    Reference:
        [Ho et al., 2020](https://arxiv.org/abs/2006.11239),
        [Song et al., 2021](https://arxiv.org/abs/2010.02502) (DDIM),
        [Salimans and Ho, 2022](https://arxiv.org/abs/2202.00512) (velocity),
        [Ho and Salimans, 2022](https://arxiv.org/abs/2207.12598) (guidance)
    """
    check_sizes("image_shape", image_shape, length=3)
    check_sizes("widths", widths)
    check_integer("blocks", blocks, minimum=1)
    check_integer("num_classes", num_classes, minimum=0)
    noisy = keras.Input(image_shape, name="noisy")
    variance = keras.Input((), name="noise_variance")
    inputs = {"noisy": noisy, "noise_variance": variance}
    if num_classes:
        inputs["labels"] = keras.Input((), dtype="int32", name="labels")
    condition = _condition(inputs, 4 * widths[0], num_classes)

    x = PadToMultiple(2 ** (len(widths) - 1), name="pad")(noisy)
    x = layers.Conv2D(widths[0], 3, padding="same", name="stem")(x)
    skips = []
    for i, filters in enumerate(widths[:-1]):
        for j in range(blocks):
            x = _residual_block(x, filters, condition, name=f"down{i}_{j}")
            skips.append(x)
        x = layers.AveragePooling2D(2, name=f"pool{i}")(x)
    for j in range(blocks):
        x = _residual_block(x, widths[-1], condition, name=f"middle_{j}")
    for i, filters in reversed(list(enumerate(widths[:-1]))):
        x = layers.UpSampling2D(name=f"up{i}")(x)
        for j in range(blocks):
            x = layers.Concatenate(name=f"join{i}_{j}")([x, skips.pop()])
            x = _residual_block(x, filters, condition, name=f"up{i}_{j}")
    x = CropLike(name="crop")([_norm(x, name="last_norm"), noisy])
    x = layers.Activation("silu", name="last_silu")(x)
    outputs = layers.Conv2D(
        image_shape[2],
        3,
        padding="same",
        kernel_initializer="zeros",
        dtype="float32",
        name="velocity",
    )(x)
    return keras.Model(inputs, outputs, name=name)


@keras.saving.register_keras_serializable(package="modelyard")
class SinusoidalEmbedding(layers.Layer):
    """Sines and cosines of numbers, with geometrically spaced frequencies.

    Args:
        frequencies: Number of frequencies, at least 2; they go from 1 to 1000 periods
            between 0 and 1.

    Call arguments:
        inputs: Numbers `(batch,)` in [0, 1].

    Returns:
        float32 `(batch, 2 * frequencies)`.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)
    """

    def __init__(self, frequencies: int, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.frequencies = frequencies

    def call(self, inputs):
        """Returns the embeddings."""
        periods = np.geomspace(1, 1000, self.frequencies, dtype="float32")
        angles = ops.expand_dims(inputs, -1) * (2 * np.pi * periods)
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns two numbers for each frequency."""
        return (*input_shape, 2 * self.frequencies)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "frequencies": self.frequencies}


def _condition(inputs, size, num_classes):
    """One vector for the noise level and the label of each image."""
    x = SinusoidalEmbedding(_FREQUENCIES, name="sinusoids")(inputs["noise_variance"])
    x = layers.Dense(size, activation="silu", name="level_hidden")(x)
    x = layers.Dense(size, name="level")(x)
    if num_classes:
        # The last row stands for "no label". Untrained, labels count as much as levels.
        label = layers.Embedding(
            num_classes + 1,
            size,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5),
            name="label",
        )(inputs["labels"])
        x = layers.Add(name="level_and_label")([x, label])
    return layers.Activation("silu", name="condition")(x)


def _residual_block(x, filters, condition, *, name):
    """Adds two normalised 3x3 convolutions, the second conditional, to a shortcut."""
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(x)
    x = _norm(x, name=f"{name}_0_norm")
    x = layers.Activation("silu", name=f"{name}_0_silu")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_0_conv")(x)
    x = modulate(
        _norm(x, name=f"{name}_1_norm", affine=False),
        condition,
        name=f"{name}_condition",
    )
    x = layers.Activation("silu", name=f"{name}_1_silu")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_1_conv")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _norm(x, *, name, affine=True):
    """Group normalisation with up to 8 groups, each of at least 4 channels."""
    # One channel of a single pixel would become 0.
    groups = max(1, math.gcd(x.shape[-1], 32) // 4)
    return layers.GroupNormalization(groups, center=affine, scale=affine, name=name)(x)
