"""Decodes image files, identically in training and in the served graph."""

import tensorflow as tf

# The part of a JPEG file that may contain the orientation.
HEADER_BYTES = 65_536
_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4  # Types of integers in EXIF.


def decode_image_bytes(
    encoded: tf.Tensor, *, height: int, width: int, channels: int
) -> tf.Tensor:
    """Decodes an image file to pixels of the model's input shape.

    Decodes like `decode_picture`. Images of the right size keep their exact pixels;
    others are resized with an antialiased bilinear filter, ignoring the aspect ratio.

    Args:
        encoded: Scalar string: the content of a JPEG, PNG, GIF, or 24-bit or 32-bit
            BMP file.
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
    image = _decode(encoded, channels)
    size = tf.shape(image)
    image = tf.cond(
        (size[0] == height) & (size[1] == width),
        lambda: image,
        lambda: tf.image.resize(image, (height, width), antialias=True),
    )
    return tf.ensure_shape(_round(image), (height, width, channels))


def decode_picture(encoded: tf.Tensor, *, channels: int) -> tf.Tensor:
    """Decodes an image file to pixels, in its own size.

    Works eagerly, in `tf.data` and in a SavedModel. Follows the EXIF orientation of
    JPEG files, drops transparency and the low bits of 16-bit images, and uses the first
    frame of an animated GIF. Compared with Pillow, the pixels are equal, except that
    JPEG pixels differ by up to 4 (a faster inverse transform), CMYK included, and
    transparent pixels of GIF files are black. An orientation in a PNG file, or only in
    the XMP data of a JPEG file, is ignored.

    Args:
        encoded: Scalar string: the content of a JPEG, PNG, GIF, or 24-bit or 32-bit
            BMP file.
        channels: 3 for RGB, 1 for grey (ITU-R BT.601 luma).

    Returns:
        float32 `(height, width, channels)`, integer values in [0, 255], so a cast to
        uint8 is lossless.

    Raises:
        ValueError: If `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: At run time, if the bytes cannot be decoded.
    """
    return _round(_decode(encoded, channels))


def convert_to_grey(images: tf.Tensor) -> tf.Tensor:
    """Converts colours to luma.

    Args:
        images: `(..., 3)` in [0, 255], of any dtype.

    Returns:
        float32 `(..., 1)`, not rounded.
    """
    # In floating point, because the weights add up to 0.9999 and integers would be
    # truncated to one less.
    return tf.image.rgb_to_grayscale(tf.cast(images, tf.float32))


def read_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation of a JPEG file.

    Args:
        encoded: Scalar string: the content of a file, or its first `HEADER_BYTES`.

    Returns:
        int64 scalar in [1, 8]; 1 (upright) if there is no valid orientation.
    """
    one = tf.ones((), tf.int64)
    is_jpeg = tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff"
    return tf.cond(is_jpeg, lambda: _find_orientation(encoded), lambda: one)


def _decode(encoded, channels):
    """Decodes to upright float32 pixels, not rounded."""
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels}")
    encoded = tf.convert_to_tensor(encoded)
    with tf.control_dependencies(_check_bmp(encoded)):
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    orientation = read_orientation(encoded)
    image = tf.cond(
        orientation == 1, lambda: image, lambda: _turn_upright(image, orientation)
    )
    if channels == 1:
        return convert_to_grey(image)
    return tf.cast(image, tf.float32)


def _round(image):
    """Rounds to the values of uint8."""
    return tf.clip_by_value(tf.round(image), 0.0, 255.0)


def _check_bmp(encoded):
    """Checks that a BMP file is not one that TensorFlow would read as noise."""
    header = tf.io.decode_raw(
        tf.strings.substr(encoded, 0, 30), tf.uint8, fixed_length=30
    )
    header = tf.cast(header, tf.int32)
    bits = header[28] + 256 * header[29]
    # Files of other formats have 24 bits, so that they pass.
    bits = tf.where(tf.strings.substr(encoded, 0, 2) == b"BM", bits, 24)
    # Eagerly, `tf.debugging.Assert` would hide the sentence behind other text.
    return [
        tf.raw_ops.Assert(
            condition=(bits == 24) | (bits == 32),
            data=[
                tf.constant(
                    "BMP files must have 24 or 32 bits per pixel. Save the picture as "
                    "PNG instead."
                )
            ],
        )
    ]


def _turn_upright(image, orientation):
    """Applies one of the EXIF orientations 2 to 8."""

    def one_of(*orientations):
        return tf.reduce_any(orientation == tf.constant(orientations, tf.int64))

    image = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image
    )
    image = tf.cond(one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)


def _find_orientation(encoded):
    """Finds the orientation in the EXIF segment of a JPEG file."""
    data = tf.io.decode_raw(tf.strings.substr(encoded, 0, HEADER_BYTES), tf.uint8)
    size = tf.size(data, tf.int64)
    data = tf.pad(data, [[0, 10]])  # Positions beyond the end read as zero.

    # The segment: FF E1, two bytes of length, "Exif", two zeros, and the EXIF data.
    found = tf.ones_like(data[10:], tf.bool)
    for offset, value in zip(
        (0, 1, 4, 5, 6, 7, 8, 9), b"\xff\xe1Exif\0\0", strict=True
    ):
        found &= data[offset : size + offset] == value
    segment = tf.argmax(tf.cast(found, tf.uint8))
    start = segment + 10

    def read(positions, count, *, little, end=size):
        """Reads unsigned integers of `count` bytes; zero beyond the end."""
        positions = positions[..., tf.newaxis] + tf.range(count, dtype=tf.int64)
        inside = positions < end
        values = tf.cast(tf.gather(data, tf.where(inside, positions, size)), tf.int64)
        weights = 256 ** tf.range(count, dtype=tf.int64)
        weights = tf.where(little, weights, weights[::-1])
        return tf.reduce_sum(values * weights, -1)

    end = tf.minimum(size, segment + 2 + read(segment + 2, 2, little=False))
    little = data[start] == ord("I")

    def get(positions, count):
        return read(positions, count, little=little, end=end)

    # Both letters are the same, "II" or "MM", and then comes 42.
    order = read(start, 2, little=False)
    is_valid = ((order == 0x4949) | (order == 0x4D4D)) & (get(start + 2, 2) == 42)
    # The first directory: a count, and entries of 12 bytes.
    directory = start + get(start + 4, 4)
    count = tf.minimum(get(directory, 2), HEADER_BYTES // 12)
    entries = directory + 2 + 12 * tf.range(count)
    kinds = get(entries + 2, 2)
    values = tf.where(kinds == _LONG, get(entries + 8, 4), get(entries + 8, 2))
    matches = (
        (get(entries, 2) == _ORIENTATION_TAG)
        & ((kinds == _SHORT) | (kinds == _LONG))
        & (values >= 1)
        & (values <= 8)
        & (entries + 12 <= end)
        & is_valid
        & tf.reduce_any(found)
    )
    # The only match, if there is one.
    return tf.concat([tf.boolean_mask(values, matches), [1]], 0)[0]
