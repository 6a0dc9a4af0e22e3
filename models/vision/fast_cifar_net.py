"""A small convolutional network that learns CIFAR-10 in about ten epochs."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from modelyard.models.checks import check_dropout, check_sizes, check_task
from modelyard.models.layers.activations import get_activation
from modelyard.models.layers.fused_batch_normalization import FusedBatchNormalization

_MOMENTUM = 0.6  # The moving statistics must settle within about 200 steps.
_LOGIT_SCALE = 1 / 9
_PATCH = 2
_PATCH_EPSILON = 5e-4
_MOST_PATCH_IMAGES = 5_000
# Three poolings, and the border that the whitening convolution removes.
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

    A block is convolution, max pooling, normalisation, activation, convolution,
    normalisation, activation. Call `whiten_patches` before training to set the
    whitening convolution from the training images; it is not trained. The paper
    trains its bias for three epochs, which makes a step an eighth slower on a CPU.

    Args:
        input_shape: `(height, width, channels)`; both sides at least 9, or None to
            accept images of any size.
        num_classes: Number of classes, at least 2.
        widths: Filters of the convolutions of the three blocks.
        activation: Activation of the hidden layers, a key of `ACTIVATIONS`.
        dropout: Share of the features dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The layer `features` is
        the maximum of each last feature map divided by 9, `widths[-1]` units.

    Raises:
        ValueError: If an argument is out of range or an unknown name.

    Example:
        >>> import numpy as np
        >>> from modelyard.models import build_fast_cifar_net, whiten_patches
        >>> model = build_fast_cifar_net((12, 12, 3), 10, widths=(8, 16, 16))
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 12, 12, 3))
        >>> whiten_patches(model, images)
        >>> model.predict(images, verbose=0).shape
        (20, 10)

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
    # In float32, because whitening magnifies small differences between pixels.
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
    """A fixed convolution with 2x2 filters that decorrelate image patches.

    There are two filters per principal component of the patches, the component and
    its negative, so that a rectifier after it loses no information. The weights are
    not trained: the kernel starts orthogonal and the bias zero, and `whiten_patches`
    sets both.

    Input: `(batch, height, width, channels)`; output:
    `(batch, height - 1, width - 1, 8 * channels)`; both floating.

    Reference:
        [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """

    def build(self, input_shape):
        """Creates the kernel and the bias."""
        size = _PATCH * _PATCH * input_shape[-1]
        # Before the kernel, the order of the weights in older files.
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
        """Applies the filters."""
        return ops.conv(inputs, self.kernel, padding="valid") + self.bias

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        batch, *sides, channels = input_shape
        filters = 2 * _PATCH * _PATCH * channels
        return (batch, *(s and s - _PATCH + 1 for s in sides), filters)


@keras.saving.register_keras_serializable(package="modelyard")
class PartialIdentity(keras.initializers.Initializer):
    """Dirac initialisation: filter i passes on input channel i.

    Filters beyond the number of channels are uniform with variance
    `1 / (3 * fan_in)`.

    Reference:
        [Zagoruyko and Komodakis, 2017](https://arxiv.org/abs/1706.00388)
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
    """Sets the layer `whiten` of a model so that it decorrelates image patches.

    Args:
        model: A model from `build_fast_cifar_net`.
        images: Training images, `(n, height, width, channels)` in [0, 255]; the
            first 5,000 are used.

    Raises:
        ValueError: If the images have another number of channels than the model.

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
    # Row, column, channel: the axis order of a kernel.
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), (1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH**2 * channels)
    variances, components = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = components / np.sqrt(np.maximum(variances, 0) + _PATCH_EPSILON)
    kernel = np.concatenate([filters, -filters], axis=1)
    # The layer reads unstandardised pixels, so its weights standardise them too.
    kernel = kernel / np.tile(deviation, _PATCH**2)[:, np.newaxis]
    layer.bias.assign(-np.tile(mean, _PATCH**2) @ kernel)
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
