"""Low-resolution copies of pictures, made as in papers on super-resolution."""

import tensorflow as tf


def shrink_bicubic(pictures: tf.Tensor, scale: int) -> tf.Tensor:
    """Shrinks pictures by a whole factor, with an antialiased bicubic filter.

    The filter is Keys' with the parameter -0.5, widened by the factor, as in MATLAB's
    `imresize` and in Pillow. The result is that of Pillow for float32 pictures,
    rounded. With 8-bit pictures, Pillow also rounds and clips between the axes; nearly
    all values still agree to one level. The picture is first cut at the bottom and at
    the right to a multiple of the factor.

    Args:
        pictures: Pixels `(n, height, width, channels)` in [0, 255], with sides of at
            least `scale`.
        scale: The factor, at least 1.

    Returns:
        float32 `(n, height // scale, width // scale, channels)`, whole numbers in
        [0, 255].
    """
    shape = tf.shape(pictures)
    height, width = shape[1] // scale, shape[2] // scale
    pictures = tf.cast(pictures[:, : height * scale, : width * scale], tf.float32)
    small = tf.image.resize(pictures, (height, width), "bicubic", antialias=True)
    return tf.clip_by_value(tf.round(small), 0.0, 255.0)
