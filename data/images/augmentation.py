"""Settings of the random transformations of training images."""

import dataclasses
import math
from typing import Literal

from modelyard.data.settings import setting


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Augmentation options: random transformations of training images; 0 disables one.

    Attributes:
        shift: Largest vertical and horizontal shift in pixels. Shifts are whole
            pixels ("pad and crop") unless an affine transformation is enabled.
        flip: Mirror half of the images horizontally.
        alternate_flip: Mirror each image in every other epoch instead of at random;
            requires `flip`.
        rotate: Largest rotation in degrees, in both directions, in [0, 180].
        scale: Largest relative change of size, in [0, 1); 0.1 scales by 0.9 to 1.1.
        shear: Largest shear in degrees, in both directions, in [0, 90).
        cutout: Side in pixels of a hidden square. Its centre can be any pixel, so
            part of the square may lie outside the image.
        padding: Filling of uncovered borders: "zero" (black), or "reflect" (the image
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
        """Checks the values."""
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
            raise ValueError("`alternate_flip` requires `flip`. Received: flip=False")
        if self.padding not in ("zero", "reflect"):
            raise ValueError(
                f'`padding` must be "zero" or "reflect". Received: {self.padding!r}'
            )

    @property
    def is_affine(self) -> bool:
        """Whether a transformation interpolates pixels."""
        return bool(self.rotate or self.scale or self.shear)

    def check_fits(self, image_shape: tuple[int, ...]) -> None:
        """Checks that images are large enough for the shift and the cutout.

        Args:
            image_shape: `(height, width, channels)`.

        Raises:
            ValueError: If `shift` or `cutout` is not below both sides.
        """
        for field in ("shift", "cutout"):
            value = getattr(self, field)
            if value and value >= min(image_shape[:2]):
                raise ValueError(
                    f"`{field}` must be below the sides of the images, "
                    f"{image_shape[0]}x{image_shape[1]}. Received: {field}={value}"
                )


NO_AUGMENTATION = Augmentation()
