"""A small convolutional network that learns CIFAR-10 in about ten epochs."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.checks import check_dropout, check_sizes, check_task
from modelyard.models.layers.activations import get_activation
from modelyard.models.layers.fused_batch_normalization import FusedBatchNormalization

_MOMENTUM = 0.6  # Of the running statistics: a training has only 200 steps.
_LOGIT_SCALE = 1 / 9
_PATCH = 2
_PATCH_EPSILON = 5e-4
_MOST_PATCH_IMAGES = 5_000
# Three poolings, and the border that the whitening convolution takes away.
_MIN_SIDE = 2**3 + _PATCH - 1


def build_fast_cifar_net(
    input_shape: tuple[int | None, int | None, int],
    num_classes: int,
    *,
    widths: Sequence[int] = (64, 256, 256),
    activation: str = "gelu_tanh",
    dropout: float = 0.0,
    name: str = "fast_cifar_net",
) -> keras.Model:
    """Builds the airbench network: a whitening convolution and three blocks.

    A block is conv, max-pool, normalisation, activation, conv, normalisation,
    activation. The whitening convolution is meant to be set from the training
    images by `whiten_patches` before training, and does not train. In the paper its
    bias does for three epochs; on a CPU that makes a step an eighth longer.

    Args:
        input_shape: `(height, width, channels)`, both sides at least 9. Both may be
            `None`: the weights do not depend on the size of the images.
        num_classes: Number of classes, at least 2.
        widths: Filters of the convolutions of the three blocks.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        dropout: Share of the features dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features` is a
        ninth of the maximum of the last maps, `widths[-1]` numbers.

    Raises:
        ValueError: If an argument is out of range or names nothing known.

    Reference:
        [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """
    check_sizes("widths", widths, length=3)
    check_task(
        tuple(_MIN_SIDE if side is None else side for side in input_shape),
        num_classes,
        min_side=_MIN_SIDE,
    )
    check_dropout(dropout)
    activate = get_activation(activation)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    # In float32: whitening magnifies small differences of neighbouring pixels.
    x = PatchWhitening(dtype="float32", name="whiten")(x)
    x = layers.Activation(activate, name="whiten_activation")(x)
    for block, filters in enumerate(widths):
        for i in range(2):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer=PartialIdentity(),
                name=f"block{block}_conv{i}",
            )(x)
            if i == 0:
                x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
            x = FusedBatchNormalization(
                scale=False,
                momentum=_MOMENTUM,
                epsilon=1e-5,
                name=f"block{block}_norm{i}",
            )(x)
            x = layers.Activation(activate, name=f"block{block}_activation{i}")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    x = layers.Rescaling(_LOGIT_SCALE, name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            1 / 3, "fan_in", "uniform"
        ),
        dtype="float32",
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name=name)


@keras.saving.register_keras_serializable(package="modelyard")
class PatchWhitening(layers.Layer):
    """Convolution with 2x2 filters that decorrelate the patches of images.

    Every principal component of the patches gives two filters, itself and its
    negative, so that a rectifier behind them loses nothing. Nothing is trained: the
    kernel starts orthogonal and the bias zero, see `whiten_patches` for ones that
    whiten.

    Input `(batch, height, width, channels)`, output
    `(batch, height - 1, width - 1, 8 * channels)`, both floating.

    Reference:
        [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """

    def build(self, input_shape):
        """Creates the kernel and the bias."""
        size = _PATCH * _PATCH * input_shape[-1]
        # First, as in files from when it was trained and the kernel was not.
        self.bias = self.add_weight(
            name="bias", shape=(2 * size,), initializer="zeros", trainable=False
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(_PATCH, _PATCH, input_shape[-1], 2 * size),
            initializer="orthogonal",
            trainable=False,
        )

    def call(self, inputs):
        """Filters images."""
        return ops.conv(inputs, self.kernel, padding="valid") + self.bias

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        batch, *sides, channels = input_shape
        filters = 2 * _PATCH * _PATCH * channels
        return (batch, *(s and s - _PATCH + 1 for s in sides), filters)


@keras.saving.register_keras_serializable(package="modelyard")
class PartialIdentity(keras.initializers.Initializer):
    """Kernels that pass each input channel on to one filter, random for the rest.

    The random filters are uniform with the variance `1 / (3 * fan_in)`.

    Reference:
        [Zagoruyko and Komodakis, 2017](https://arxiv.org/abs/1706.00388) (Dirac)
    """

    def __call__(self, shape, dtype=None):
        """Returns a kernel `(height, width, channels, filters)`."""
        height, width, channels, filters = shape
        passed = min(channels, filters)
        identity = np.zeros((height, width, channels, passed), "float32")
        rows = np.arange(passed)
        identity[height // 2, width // 2, rows, rows] = 1.0
        limit = (height * width * channels) ** -0.5
        random = keras.random.uniform(
            (height, width, channels, filters - passed), -limit, limit, dtype=dtype
        )
        return ops.concatenate([ops.cast(identity, random.dtype), random], axis=-1)


def whiten_patches(model: keras.Model, images: np.ndarray) -> None:
    """Sets the layer `whiten` of a model so that it decorrelates patches of images.

    Args:
        model: A model of `build_fast_cifar_net`.
        images: Training images, `(n, height, width, channels)` in [0, 255]; the
            first 5,000 are used.

    Raises:
        ValueError: If the images have other channels than the model.

    Reference:
        [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """
    layer = model.get_layer("whiten")
    channels = layer.kernel.shape[2]
    if images.ndim != 4 or images.shape[-1] != channels:
        raise ValueError(
            f"`images` must be (n, height, width, {channels}). "
            f"Received: images.shape={images.shape}"
        )
    pixels = images[:_MOST_PATCH_IMAGES].astype("float32") / 255
    mean, deviation = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2)) + 1e-6
    pixels = (pixels - mean) / deviation
    # Row, column, channel: the order of a kernel's entries.
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), (1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH**2 * channels)
    variances, components = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = components / np.sqrt(np.maximum(variances, 0) + _PATCH_EPSILON)
    kernel = np.concatenate([filters, -filters], axis=1)
    # The layer takes pixels as they are, so it standardises them as well.
    kernel = kernel / np.tile(deviation, _PATCH**2)[:, np.newaxis]
    layer.bias.assign(-np.tile(mean, _PATCH**2) @ kernel)
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
