"""The outputs of signatures that answer with classes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import softmax


def make_answer(class_names: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """Makes the function that turns logits into the outputs of a signature.

    Args:
        class_names: Names of the logits, in order.

    Returns:
        A TensorFlow function from logits `(n, k)` to `scores` and `classes`.
    """
    names = tf.constant(list(class_names))

    def answer(logits):
        scores = tf.nn.softmax(logits)
        classes = tf.broadcast_to(names, tf.shape(scores))
        return {"scores": scores, "classes": classes}

    return answer


def expected_answer(
    logits: np.ndarray, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Computes what a signature must return, without TensorFlow.

    Args:
        logits: Output of the trained model, float32 `(n, k)`.
        class_names: Names of the logits, in order.

    Returns:
        `scores` and `classes`.
    """
    names = [name.encode() for name in class_names]
    return {
        "scores": softmax(logits, axis=-1),
        "classes": np.array([names] * len(logits), object),
    }
