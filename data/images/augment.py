"""Random transformations of image batches."""

import math

import tensorflow as tf

from modelyard.data.images.augmentation import Augmentation


def augment_images(
    images: tf.Tensor,
    augmentation: Augmentation,
    *,
    seed: tf.Tensor,
    fill: float | tf.Tensor = 0.0,
    mirrored: tf.Tensor | None = None,
) -> tf.Tensor:
    """Transforms the images of a batch, each at random.

    Args:
        images: uint8 `(batch, height, width, channels)` with a static shape.
        augmentation: Transformations to apply.
        seed: int64 `(2,)`; the same seed gives the same result.
        fill: Colour of cutout squares in [0, 255], a scalar or `(channels,)`.
        mirrored: Images that `flip` mirrors, bool `(batch,)`; random if `None`.

    Returns:
        uint8 `(batch, height, width, channels)`.
    """
    # All random numbers of the batch, in [0, 1), in one draw.
    draws = tf.unstack(
        tf.random.stateless_uniform((8, images.shape[0]), seed, alg="philox")
    )
    if augmentation.shift or augmentation.flip or augmentation.is_affine:
        if mirrored is None:
            mirrored = draws[2] < 0.5
        images = _move_pixels(images, augmentation, draws[:6], mirrored)
    if augmentation.cutout:
        images = _cut_out(images, augmentation.cutout, draws[6:], fill)
    return images


def _move_pixels(images, augmentation, draws, mirrored):
    """Flips, shifts, rotates, scales and shears in one pass over the pixels."""
    batch, height, width, channels = images.shape
    shift, flip = augmentation.shift, augmentation.flip
    down, right = (tf.floor(draw * (2 * shift + 1)) - shift for draw in draws[:2])
    mirror = tf.where(mirrored, -1.0, 1.0) if flip else tf.ones(batch)
    angle = _between(draws[3], augmentation.rotate * math.pi / 180)
    slant = tf.tan(_between(draws[4], augmentation.shear * math.pi / 180))
    size = 1 + _between(draws[5], augmentation.scale)

    # Maps output to input pixels: relative to the centre of the output, rotated and
    # sheared, then relative to the shifted centre of the input.
    cos, sin = tf.cos(angle) / size, tf.sin(angle) / size
    xx, xy = mirror * cos, mirror * (slant * cos - sin)
    yx, yy = sin, slant * sin + cos
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    to_x = centre_x - xx * centre_x - xy * centre_y + right
    to_y = centre_y - yx * centre_x - yy * centre_y + down
    zero = tf.zeros(batch)

    if augmentation.is_affine:
        # With uint8 the op truncates fractions, which would darken the images.
        images = tf.cast(images, tf.float32)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([xx, xy, to_x, yx, yy, to_y, zero, zero], axis=1),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR" if augmentation.is_affine else "NEAREST",
        fill_mode="CONSTANT" if augmentation.padding == "zero" else "REFLECT",
    )
    if augmentation.is_affine:
        moved = tf.cast(moved + 0.5, tf.uint8)  # Rounds.
    return tf.ensure_shape(moved, (batch, height, width, channels))


def _cut_out(images, side, draws, fill):
    """Fills a random square of each image with the colour `fill`."""
    batch, height, width, channels = images.shape
    hidden = []
    for draw, length in zip(draws, (height, width), strict=True):
        first = tf.cast(tf.floor(draw * length), tf.int32) - side // 2
        distance = tf.range(length) - first[:, tf.newaxis]
        hidden.append((distance >= 0) & (distance < side))
    rows, columns = hidden
    # Flat rows without broadcasting in `tf.where` are three times faster than a mask
    # (batch, height, width, 1).
    columns = tf.repeat(columns, channels, axis=1)
    mask = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    colour = tf.cast(tf.round(fill), tf.uint8)
    filling = tf.broadcast_to(colour, images.shape)
    flat = (batch, height, width * channels)
    cut = tf.where(mask, tf.reshape(filling, flat), tf.reshape(images, flat))
    return tf.reshape(cut, images.shape)


def _between(draw, limit):
    """Rescales [0, 1) to [-limit, limit)."""
    return (2 * draw - 1) * limit
