"""Decodes image files, identically in training and in the served graph."""

import tensorflow as tf


def decode_image_bytes(
    encoded: tf.Tensor, *, height: int, width: int, channels: int
) -> tf.Tensor:
    """Decodes an image file to pixels of the model's input shape.

    Works eagerly, in `tf.data` and in a SavedModel. Drops transparency and the low
    bits of 16-bit images, and uses the first frame of an animated GIF. Images of the
    right size keep their exact pixels; others are resized with an antialiased bilinear
    filter, ignoring the aspect ratio.

    Args:
        encoded: Scalar string: the content of a JPEG, PNG, GIF or 24-bit BMP file.
        height: Height of the result.
        width: Width of the result.
        channels: 3 for RGB, 1 for grey (ITU-R BT.601 luma).

    Returns:
        float32 `(height, width, channels)`, integer values in [0, 255], so a cast to
        uint8 is lossless.

    Raises:
        ValueError: If `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: At run time, if the bytes cannot be decoded.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels}")
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    size = tf.shape(image)
    image = tf.cast(image, tf.float32)
    if channels == 1:
        # In floating point, because the weights add up to 0.9999 and integers would
        # be truncated to one less.
        image = tf.image.rgb_to_grayscale(image)
    image = tf.cond(
        (size[0] == height) & (size[1] == width),
        lambda: image,
        lambda: tf.image.resize(image, (height, width), antialias=True),
    )
    image = tf.clip_by_value(tf.round(image), 0.0, 255.0)
    return tf.ensure_shape(image, (height, width, channels))
