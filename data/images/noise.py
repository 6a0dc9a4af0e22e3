"""Kinds of noise and their strength. Importing this loads no TensorFlow."""

import dataclasses
from typing import Literal, NamedTuple

NoiseKind = Literal["gaussian", "poisson", "salt_and_pepper", "erased_squares"]


class Levels(NamedTuple):
    """The levels of a kind of noise.

    Attributes:
        default: The level if none is given.
        largest: The largest level allowed.
        meaning: What the level is.
    """

    default: float
    largest: float
    meaning: str


LEVELS = {
    "gaussian": Levels(25, 255, "standard deviation in units of pixels in [0, 255]"),
    "poisson": Levels(25, 255, "standard deviation at white, in units of pixels"),
    "salt_and_pepper": Levels(0.1, 1, "share of the pixels"),
    "erased_squares": Levels(8, 255, "side of the squares in pixels"),
}


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
        levels = LEVELS[self.kind]
        if not 0 < self.level <= levels.largest:
            raise ValueError(
                f"`noise_level` must be above 0 and at most {levels.largest:g}: the "
                f"{levels.meaning}. Received: noise_level={self.level}"
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
