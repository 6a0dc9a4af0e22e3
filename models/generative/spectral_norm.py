"""Spectral normalisation as a reparametrisation of the kernel."""

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="modelyard")
class SpectralNorm(layers.Wrapper):
    """Divides the kernel of a layer by its largest singular value.

    Each call in training does one power iteration from where the last one ended, so
    the estimate improves from step to step. The gradient includes that of the singular
    value. At inference the estimate stays as it is.

    `keras.layers.SpectralNormalization` overwrites the kernel instead, and JAX discards
    updates of trainable weights during a call. It also casts float32 outputs to the
    dtype of the inputs.

    Args:
        layer: A `Dense` or `Conv2D` layer without activation.

    Call arguments:
        inputs: Inputs of the layer.
        training: Whether to update the estimate.

    Returns:
        The outputs of the layer, in its dtype.

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(self, layer: layers.Layer, **kwargs: Any):
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})

    def build(self, input_shape):
        """Creates the estimate of the left singular vector."""
        super().build(input_shape)
        self.vector = self.add_weight(
            shape=(self.layer.kernel.shape[-1],),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            dtype="float32",
            name="vector",
        )

    def call(self, inputs, training=None):
        """Returns the outputs with the normalised kernel."""
        kernel = ops.cast(self.layer.kernel, "float32")
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        fixed = ops.stop_gradient(matrix)
        vector = ops.convert_to_tensor(self.vector)
        other = _unit(ops.matmul(fixed, vector))
        if training:
            vector = _unit(ops.matmul(other, fixed))
            self.vector.assign(vector)
        vector = _unit(vector)
        norm = ops.matmul(other, ops.matmul(matrix, vector))
        # Both layers are linear, so this equals dividing the kernel.
        return self.layer(inputs / ops.cast(norm + 1e-12, inputs.dtype))

    def compute_output_shape(self, input_shape):
        """Returns the shape that the layer returns."""
        return self.layer.compute_output_shape(input_shape)


def _unit(vector):
    """The vector divided by its length; zeros stay zeros."""
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)
