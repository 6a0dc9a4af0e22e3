"""Layers for padded sequences: pooling, convolution and positions."""

import math

import keras
from keras import layers, ops

from modelyard.models.checks import check_choice

POOLINGS = ("last", "max", "mean", "max_mean", "attention", "last_max_mean")
_LOW = -1e9
_POSITION_SCALE = 0.05


@keras.saving.register_keras_serializable(package="modelyard")
class SequencePooling(layers.Layer):
    """Pools the vectors of a sequence into one vector and ignores padding.

    `"last"` takes the last vector before the padding; `"max"` and `"mean"` pool each
    dimension over time. Names joined by `_` are computed side by side and
    concatenated. `"attention"` is a weighted mean with trained weights, initially
    equal. A sequence that is all padding gives zeros.

    Input: `(batch, time, dim)`, with a mask that is false only at the end; output:
    `(batch, dim)`, or a multiple of `dim` for concatenated poolings.

    Args:
        mode: `"last"`, `"max"`, `"mean"`, `"max_mean"`, `"attention"` or
            `"last_max_mean"`.

    Reference:
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146) (concatenated),
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473) (attention)
    """

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        check_choice("pooling", mode, POOLINGS)
        self.mode = mode
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the query vector of attention."""
        if self.mode == "attention":
            self.query = self.add_weight(
                name="query", shape=(input_shape[-1], 1), initializer="zeros"
            )

    def call(self, inputs, mask=None):
        """Pools over time."""
        # A bfloat16 sum would lose the contribution of single words.
        x = ops.cast(inputs, "float32")
        if mask is None:
            mask = ops.ones_like(x[..., 0], dtype="bool")
        present = ops.cast(mask, "float32")[..., None]
        poolings = [_POOLINGS[name] for name in self.mode.split("_")]
        query = ops.cast(self.query, "float32") if self.mode == "attention" else None
        pooled = [pool(x, present, query) for pool in poolings]
        return ops.cast(ops.concatenate(pooled, axis=-1), self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Returns None: the output has no time axis."""
        return

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (input_shape[0], input_shape[-1] * len(self.mode.split("_")))

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable(package="modelyard")
class MaskedConv1D(layers.Conv1D):
    """A `keras.layers.Conv1D` that reads masked time steps as zeros.

    With `padding="same"`, the result does not depend on the amount of padding.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        """Convolves over time."""
        if mask is not None:
            inputs = inputs * ops.cast(mask, inputs.dtype)[..., None]
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="modelyard")
class SinusoidalPositions(layers.Layer):
    """Adds sinusoidal position encodings, for sequences of any length.

    A trained factor scales the encodings, because word vectors start small.

    Input and output: `(batch, time, dim)`; `dim` is even.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the factor of the encodings."""
        self.scale = self.add_weight(
            name="scale",
            shape=(),
            initializer=keras.initializers.Constant(_POSITION_SCALE),
        )

    def call(self, inputs):
        """Adds the position encodings."""
        time, dim = ops.shape(inputs)[1], inputs.shape[-1]
        rates = ops.exp(
            ops.arange(0, dim, 2, dtype="float32") * (-math.log(10_000) / dim)
        )
        angles = ops.arange(time, dtype="float32")[:, None] * rates
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        return inputs + self.scale * ops.cast(waves, inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return input_shape


def _pool_last(x, present, _query):
    """The last vector before the padding."""
    batch, time, dim = ops.shape(x)
    last = ops.cast(ops.sum(present[..., 0], axis=1), "int32") - 1
    rows = ops.arange(batch, dtype="int32") * time + ops.maximum(last, 0)
    return ops.take(ops.reshape(x * present, (batch * time, dim)), rows, axis=0)


def _pool_max(x, present, _query):
    """The maximum of each dimension."""
    greatest = ops.max(ops.where(present > 0, x, _LOW), axis=1)
    return greatest * ops.max(present, axis=1)


def _pool_mean(x, present, _query):
    """The mean over the vectors that are not padding."""
    return ops.sum(x * present, axis=1) / ops.maximum(ops.sum(present, axis=1), 1)


def _pool_attention(x, present, query):
    """The mean weighted by the softmax of dot products with the query."""
    scores = ops.where(present > 0, ops.matmul(x, query), _LOW)
    weights = ops.exp(scores - ops.max(scores, axis=1, keepdims=True)) * present
    total = ops.maximum(ops.sum(weights, axis=1), keras.config.epsilon())
    return ops.sum(x * weights, axis=1) / total


_POOLINGS = {
    "last": _pool_last,
    "max": _pool_max,
    "mean": _pool_mean,
    "attention": _pool_attention,
}
