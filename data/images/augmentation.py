"""Which random transformations training images get."""

import dataclasses
import math
from typing import Literal

from modelyard.data.settings import setting


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Which random transformations training images get; 0 or False is off.

    Args:
        shift: Largest shift in pixels, down or up and right or left. Whole pixels
            (the usual "pad and crop") unless an affine transformation is on too.
        flip: Mirror half of the images from left to right.
        alternate_flip: Mirror each image in every other epoch, rather than half of
            them at random; needs `flip`.
        rotate: Largest rotation in degrees, either way.
        scale: Largest relative change of size, in [0, 1): 0.1 is from 0.9 to 1.1.
        shear: Largest shear in degrees, either way, in [0, 90).
        cutout: Side in pixels of a square that is hidden. Its centre may be any
            pixel, so that part of it can lie outside the image.
        padding: What comes in at the border: "zero" (black), or "reflect" (the image
            mirrored at its border).

    Raises:
        ValueError: If a value is out of range.

    Reference:
        Cutout: [DeVries & Taylor, 2017](https://arxiv.org/abs/1708.04552);
        alternating flips: [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """

    shift: int = setting(0, "Largest shift in pixels.")
    flip: bool = setting(False, "Mirror half of the images.")
    alternate_flip: bool = setting(
        False, "Mirror each image in every other epoch; needs --flip."
    )
    rotate: float = setting(0.0, "Largest rotation in degrees.")
    scale: float = setting(0.0, "Largest change of size, as a share.")
    shear: float = setting(0.0, "Largest shear in degrees.")
    cutout: int = setting(0, "Side of a square that is hidden, in pixels.")
    padding: Literal["zero", "reflect"] = setting(
        "zero", "What fills the border of moved images."
    )

    def __post_init__(self):
        """Checks the ranges."""
        for field, limit in (
            ("shift", math.inf),
            ("rotate", 180.0),
            ("scale", 1.0),
            ("shear", 90.0),
            ("cutout", math.inf),
        ):
            value = getattr(self, field)
            if not (0 <= value < limit or (field == "rotate" and value == limit)):
                raise ValueError(
                    f"`{field}` must be at least 0 and below {limit}. "
                    f"Received: {field}={value}"
                )
        if self.alternate_flip and not self.flip:
            raise ValueError(
                "`alternate_flip` must come with `flip`. Received: flip=False"
            )
        if self.padding not in ("zero", "reflect"):
            raise ValueError(
                f'`padding` must be "zero" or "reflect". Received: {self.padding!r}'
            )

    @property
    def is_affine(self) -> bool:
        """Whether pixels are interpolated."""
        return bool(self.rotate or self.scale or self.shear)

    def check_fits(self, image_shape: tuple[int, ...]) -> None:
        """Raises `ValueError` if images are too small for a shift or a cutout.

        Args:
            image_shape: `(height, width, channels)`.
        """
        for field in ("shift", "cutout"):
            value = getattr(self, field)
            if value and value >= min(image_shape[:2]):
                raise ValueError(
                    f"`{field}` must be below the sides of the images, "
                    f"{image_shape[0]}x{image_shape[1]}. Received: {field}={value}"
                )


NO_AUGMENTATION = Augmentation()
