"""Losses."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="modelyard")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits with integer labels and label smoothing.

    `keras.losses.CategoricalCrossentropy` for labels that are not one-hot.

    Args:
        label_smoothing: Share of the target spread over all classes, in [0, 1].
        name: Name of the loss.

    Reference:
        [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567)
    """

    def __init__(
        self, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of labels `(batch,)`, logits `(batch, k)`."""
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        return keras.losses.categorical_crossentropy(
            ops.one_hot(labels, y_pred.shape[-1]),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="modelyard")
class PixelError(keras.losses.Loss):
    """Mean squared error of pixels in [0, 255], as if they were in [0, 1].

    Args:
        name: Name of the loss.
    """

    def __init__(self, name: str = "pixel_error", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of images `(batch, height, width, channels)`."""
        difference = (ops.cast(y_true, y_pred.dtype) - y_pred) / 255
        return ops.mean(ops.square(difference), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="modelyard")
class LumaError(keras.losses.Loss):
    """Mean absolute error of the luma of pixels in [0, 255], as if in [0, 1].

    Args:
        name: Name of the loss.
    """

    def __init__(self, name: str = "luma_error", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of images `(batch, height, width, channels)`."""
        difference = (ops.cast(y_true, y_pred.dtype) - y_pred) / 255
        if y_pred.shape[-1] == 3:
            # ITU-R BT.601.
            weights = ops.convert_to_tensor([0.299, 0.587, 0.114], y_pred.dtype)
            difference = ops.sum(difference * weights, axis=-1, keepdims=True)
        return ops.mean(ops.abs(difference), axis=(1, 2, 3))
