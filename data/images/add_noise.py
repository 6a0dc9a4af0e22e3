"""Seeded noise for the training and the evaluation of denoisers."""

import tensorflow as tf

from modelyard.data.images.noise import Noise

_ERASED_SHARE = 0.1


def add_noise(
    pictures: tf.Tensor, noise: Noise, *, seed: tf.Tensor, training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds noise to a batch. The same seed gives the same noise.

    Args:
        pictures: Pixels `(n, height, width, channels)` in [0, 255].
        noise: What to add.
        seed: Integers `(2,)`.
        training: Whether levels are drawn from `noise.min_level` on; otherwise all
            pictures get `noise.level`.

    Returns:
        Noisy pixels, float32 of the same shape, and the level of each picture, float32
        `(n,)`.
    """
    pictures = tf.cast(pictures, tf.float32)
    shape = tf.shape(pictures)
    level_seed, seed = tf.unstack(tf.random.split(seed, 2))
    levels = tf.fill(shape[:1], tf.constant(noise.level, tf.float32))
    if training and noise.min_level is not None:
        levels = tf.random.stateless_uniform(
            shape[:1], level_seed, noise.min_level, noise.level
        )
    noisy = _ADD[noise.kind](pictures, levels, seed, noise)
    if noise.clip:
        noisy = tf.clip_by_value(noisy, 0.0, 255.0)
    return tf.ensure_shape(noisy, pictures.shape), levels


def _add_gaussian(pictures, levels, seed, _noise):
    """White noise."""
    normal = tf.random.stateless_normal(tf.shape(pictures), seed)
    return pictures + levels[:, None, None, None] * normal


def _add_poisson(pictures, levels, seed, _noise):
    """Counts of photons, so many that white has the standard deviation asked for."""
    photons = 255 / tf.square(tf.maximum(levels, 1e-3))[:, None, None, None]
    means = pictures * photons
    counts = tf.random.stateless_poisson(
        tf.shape(pictures), seed, means, dtype=tf.float32
    )
    return counts / photons


def _add_salt_and_pepper(pictures, levels, seed, _noise):
    """Black or white in all channels of a pixel."""
    draws = tf.random.stateless_uniform(
        tf.concat([tf.shape(pictures)[:3], [1]], axis=0), seed
    )
    levels = levels[:, None, None, None]
    value = tf.where(draws < levels / 2, 0.0, 255.0)
    return tf.where(draws < levels, value, pictures)


def _add_erased_squares(pictures, _levels, seed, noise):
    """Black squares around random pixels."""
    side = int(noise.level)
    # The squares may overlap.
    share = 1 - (1 - _ERASED_SHARE) ** (1 / side**2)
    draws = tf.random.stateless_uniform(
        tf.concat([tf.shape(pictures)[:3], [1]], axis=0), seed
    )
    centers = tf.cast(draws < share, tf.float32)
    erased = tf.nn.max_pool2d(centers, side, strides=1, padding="SAME")
    return pictures * (1 - erased)


_ADD = {
    "gaussian": _add_gaussian,
    "poisson": _add_poisson,
    "salt_and_pepper": _add_salt_and_pepper,
    "erased_squares": _add_erased_squares,
}
