"""Small real image data sets included in scikit-learn and scikit-image."""

import importlib.resources

import numpy as np
import tensorflow as tf

from modelyard.data.errors import DatasetUnavailableError
from modelyard.data.images.examples import Examples

# In the order of the class names on the card.
_PHOTOGRAPHS = (
    ("sklearn.datasets.images", "china.jpg"),
    ("sklearn.datasets.images", "flower.jpg"),
    ("skimage.data", "astronaut.png"),
    ("skimage.data", "chelsea.png"),
    ("skimage.data", "coffee.png"),
    ("skimage.data", "hubble_deep_field.jpg"),
    ("skimage.data", "retina.jpg"),
    ("skimage.data", "rocket.jpg"),
    ("skimage.data", "ihc.png"),
)
_PATCH_SIDE = 32
_MOST_PATCHES = 400  # Per photograph, so that no class dominates.


def load_digits() -> Examples:
    """Loads scikit-learn's handwritten digits.

    Returns:
        1,797 grey images, uint8 `(1797, 8, 8, 1)`, rescaled from 0..16 to 0..255.
    """
    import sklearn.datasets  # Slow to import.

    digits = sklearn.datasets.load_digits()
    images = np.round(digits.images[..., np.newaxis] * (255 / 16)).astype(np.uint8)
    return Examples(images, digits.target.astype(np.int64))


def load_photos() -> Examples:
    """Loads patches of photographs, labelled with the photograph.

    The patches lie on a grid and do not overlap. Uniform patches, such as the black
    background of the retina, are dropped.

    Returns:
        Colour images, uint8 `(n, 32, 32, 3)`.

    Raises:
        DatasetUnavailableError: If a photograph is missing from the installed package.
    """
    rng = np.random.default_rng(0)
    patches = [_cut(_read_photograph(*source), rng) for source in _PHOTOGRAPHS]
    labels = np.repeat(np.arange(len(patches)), [len(part) for part in patches])
    return Examples(np.concatenate(patches), labels.astype(np.int64))


def _read_photograph(package, file_name):
    """Decodes one photograph to uint8 (height, width, 3)."""
    file = importlib.resources.files(package) / file_name
    if not file.is_file():
        raise DatasetUnavailableError(
            f"The data set 'photos' needs {file_name}, which is missing from the "
            f"installed package {package.split('.')[0]}. Use 'digits' instead."
        )
    return tf.io.decode_image(file.read_bytes(), channels=3).numpy()


def _cut(photograph, rng):
    """Cuts a photograph into at most `_MOST_PATCHES` patches that are not uniform."""
    rows, columns = (length // _PATCH_SIDE for length in photograph.shape[:2])
    grid = photograph[: rows * _PATCH_SIDE, : columns * _PATCH_SIDE]
    grid = grid.reshape(rows, _PATCH_SIDE, columns, _PATCH_SIDE, 3)
    patches = grid.swapaxes(1, 2).reshape(-1, _PATCH_SIDE, _PATCH_SIDE, 3)
    patches = patches[patches.std(axis=(1, 2)).mean(axis=-1) > 1]
    if len(patches) > _MOST_PATCHES:
        chosen = rng.choice(len(patches), _MOST_PATCHES, replace=False)
        patches = patches[np.sort(chosen)]
    return patches
