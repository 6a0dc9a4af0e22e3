"""Decoding of encoded images, the same for training and for the served graph."""

import tensorflow as tf


def decode_image_bytes(
    encoded: tf.Tensor, *, height: int, width: int, channels: int
) -> tf.Tensor:
    """Decodes one image file to the pixels that a model takes.

    Works eagerly, in `tf.data` and in a SavedModel. Transparency is dropped, 16-bit
    images lose their low bits, and of an animated GIF the first frame is taken. An
    image of the right size keeps its pixels exactly; another one is resized with an
    antialiased bilinear filter, without regard to its aspect ratio.

    Args:
        encoded: Scalar string: a JPEG, PNG, GIF or 24-bit BMP file.
        height: Rows of the result.
        width: Columns of the result.
        channels: 3 for RGB, 1 for grey (ITU-R BT.601 luma).

    Returns:
        float32 `(height, width, channels)`, whole values in [0, 255], so that a cast
        to uint8 loses nothing.

    Raises:
        ValueError: If `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: At run time, if the bytes are no such file.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels}")
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    size = tf.shape(image)
    image = tf.cast(image, tf.float32)
    if channels == 1:
        # In floating point: the weights add up to 0.9999, and whole numbers would
        # be cut to one less.
        image = tf.image.rgb_to_grayscale(image)
    image = tf.cond(
        (size[0] == height) & (size[1] == width),
        lambda: image,
        lambda: tf.image.resize(image, (height, width), antialias=True),
    )
    image = tf.clip_by_value(tf.round(image), 0.0, 255.0)
    return tf.ensure_shape(image, (height, width, channels))
