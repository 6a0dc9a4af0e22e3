"""Encoded images in a served graph, and encoded golden images."""

import numpy as np
import tensorflow as tf

from modelyard.data.images.decoding import decode_image_bytes


def decode_images(image_bytes: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """Decodes image files in the graph.

    Args:
        image_bytes: Strings `(n,)`, each a JPEG, PNG, GIF or BMP file.
        shape: `(height, width, channels)` of the result.

    Returns:
        float32 `(n, height, width, channels)` in [0, 255].
    """
    height, width, channels = shape
    return tf.map_fn(
        lambda encoded: decode_image_bytes(
            encoded, height=height, width=width, channels=channels
        ),
        image_bytes,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )


def any_image() -> bytes:
    """Returns a small image file, for a graph that must decode one."""
    return tf.io.encode_png(np.zeros((1, 1, 3), np.uint8)).numpy()


def encode_images(images: np.ndarray) -> np.ndarray:
    """Encodes images as PNG, which keeps every pixel.

    Args:
        images: uint8 `(n, height, width, channels)`.

    Returns:
        `bytes` objects `(n,)`.
    """
    return np.array([tf.io.encode_png(image).numpy() for image in images], object)
