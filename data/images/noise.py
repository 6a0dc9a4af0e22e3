"""Seeded noise for the training and the evaluation of denoisers."""

import dataclasses
from typing import Literal

import tensorflow as tf

NoiseKind = Literal["gaussian", "poisson", "salt_and_pepper", "erased_squares"]
# Kind of noise: default level, largest level, and what the level is.
LEVELS = {
    "gaussian": (25.0, 255.0, "standard deviation in units of pixels in [0, 255]"),
    "poisson": (25.0, 255.0, "standard deviation at white, in units of pixels"),
    "salt_and_pepper": (0.1, 1.0, "share of the pixels"),
    "erased_squares": (8.0, 255.0, "side of the squares in pixels"),
}
_ERASED_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Noise:
    """A kind of noise and how strong it is.

    Attributes:
        kind: `"gaussian"` (white), `"poisson"` (photon noise, whose variance grows with
            the brightness), `"salt_and_pepper"` (pixels turned black or white) or
            `"erased_squares"` (black squares that hide about a tenth of the picture).
        level: Its strength: the standard deviation for `"gaussian"`, the one at white
            for `"poisson"`, both in units of pixels in [0, 255]; the share of the
            pixels for `"salt_and_pepper"`; the side in pixels for `"erased_squares"`.
        min_level: If not None, training pictures get levels drawn uniformly from
            `min_level` to `level`.
        clip: Whether noisy pixels are clipped to [0, 255].

    Raises:
        ValueError: If a value is out of range.
    """

    kind: NoiseKind
    level: float
    min_level: float | None = None
    clip: bool = False

    def __post_init__(self):
        """Checks the values."""
        _, most, meaning = LEVELS[self.kind]
        if not 0 < self.level <= most:
            raise ValueError(
                f"`noise_level` must be above 0 and at most {most:g}: the {meaning}. "
                f"Received: noise_level={self.level}"
            )
        if self.min_level is not None and not 0 <= self.min_level <= self.level:
            raise ValueError(
                "`min_noise_level` must be from 0 to `noise_level`. "
                f"Received: min_noise_level={self.min_level}, noise_level={self.level}"
            )
        if self.kind == "erased_squares" and (
            self.min_level is not None or self.level != int(self.level)
        ):
            raise ValueError(
                "`noise_level` of erased squares must be a whole number, without "
                f"`min_noise_level`. Received: noise_level={self.level}, "
                f"min_noise_level={self.min_level}"
            )

    @property
    def has_sigma(self) -> bool:
        """Whether the level is a standard deviation."""
        return self.kind in ("gaussian", "poisson")


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
