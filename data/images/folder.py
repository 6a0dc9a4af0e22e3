"""Loads the user's own images from a folder with one sub-folder per class."""

import dataclasses
import logging
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import tensorflow as tf

from modelyard.data.cards.card import DatasetCard
from modelyard.data.errors import DatasetError
from modelyard.data.images.decoding import decode_image_bytes
from modelyard.data.images.examples import Examples

_logger = logging.getLogger(__name__)
_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LISTED = 20
_LARGEST_COMMON_SIDE = 256
_DEFAULT_SIDE = 64
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")


@dataclasses.dataclass(frozen=True)
class _Listing:
    """The image files of a split, and the labels of their folders."""

    paths: tuple[Path, ...]
    labels: np.ndarray


def load_image_folder(
    folder: Path, *, size: int | None = None, channels: int | None = None
) -> tuple[DatasetCard, dict[str, Examples]]:
    """Loads a folder with one sub-folder of images per class.

    Instead of classes, the folder may contain `train`, `test` and optionally
    `validation`, each with the same classes.

    Args:
        folder: Folder of JPEG, PNG, GIF and BMP files.
        size: Height and width to resize to. `None` keeps the size of the images if
            all have the same and no side exceeds 256, and uses 64 otherwise.
        channels: 3 (colour) or 1 (grey). `None` uses 1 if all images are grey.

    Returns:
        A card, and the examples in the order of the file names: `{"all": ...}`, or
        one entry for each of `train`, `validation` and `test`.

    Raises:
        DatasetError: If there are fewer than two classes, a class has no images, a
            class is missing from train, an image is unreadable, or the images do not
            fit in memory.
    """
    listings, class_names = _list_folder(folder)
    paths = [path for listing in listings.values() for path in listing.paths]
    common_shape = _inspect(paths)
    height, width = (size, size) if size else common_shape[:2]
    shape = (height, width, channels or common_shape[2])
    _check_memory(len(paths), shape)

    images = _decode_all(paths, shape)
    splits, start = {}, 0
    for split, listing in listings.items():
        end = start + len(listing.paths)
        splits[split] = Examples(images[start:end], listing.labels)
        start = end
    card = DatasetCard(
        name="folder",
        title=f"Images in the folder {folder.name}",
        source="folder",
        example_shape=shape,
        class_names=class_names,
        splits={split: len(examples) for split, examples in splits.items()},
        licence="Not known; the user's own data",
        permitted_use="As permitted by the owner of the images",
        url="",
        citation="",
    )
    return card, splits


def _list_folder(folder):
    """Finds the splits, the classes and their files."""
    if not folder.is_dir():
        raise DatasetError(f"Not a folder of images. Received: path={folder}")
    inside = {child.name: child for child in _visible(folder) if child.is_dir()}
    split_folders = {"all": folder}
    if "train" in inside and any(c.is_dir() for c in _visible(inside["train"])):
        if "test" not in inside:
            raise DatasetError(
                "A folder with `train` must also contain `test`, or its sub-folders "
                f"must be the classes. Received: path={folder}"
            )
        known = ("train", "validation", "test")
        split_folders = {name: inside[name] for name in known if name in inside}
        _warn_ignored([child for child in inside.values() if child.name not in known])

    class_names = _class_names(next(iter(split_folders.values())))
    listings = {}
    for split, split_folder in split_folders.items():
        extra = sorted(set(_class_names(split_folder)) - set(class_names))
        if extra:
            raise DatasetError(
                f"Every class in `{split}` must be in `train`. Received: "
                f"{', '.join(extra)} in {split_folder}"
            )
        listings[split] = _list_split(split_folder, class_names)
    return listings, class_names


def _class_names(folder):
    """Returns the names of the class folders of a split."""
    names = tuple(child.name for child in _visible(folder) if child.is_dir())
    if len(names) < 2:
        raise DatasetError(
            "A folder of images must have at least 2 sub-folders, one per class. "
            f"Received: {len(names)} in {folder}"
        )
    return names


def _list_split(folder, class_names):
    """Lists the image files of every class of one split."""
    paths, labels, ignored, empty = [], [], [], []
    ignored += [child for child in _visible(folder) if not child.is_dir()]
    for label, name in enumerate(class_names):
        if not (folder / name).is_dir():
            continue  # Validation and test may lack a class.
        children = _visible(folder / name)
        images = [c for c in children if c.suffix.lower() in _EXTENSIONS]
        ignored += [child for child in children if child not in set(images)]
        if not images:
            empty.append(folder / name)
        paths += images
        labels += [label] * len(images)
    if empty:
        raise DatasetError(
            f"Every class must have images ({', '.join(_EXTENSIONS)}). "
            f"Received: none in {_join(empty)}"
        )
    _warn_ignored(ignored)
    return _Listing(tuple(paths), np.array(labels, dtype=np.int64))


def _visible(folder):
    """Lists a folder by name, without hidden and system files."""
    return sorted(
        child
        for child in folder.iterdir()
        if not child.name.startswith(".") and child.name.lower() not in _SYSTEM_FILES
    )


def _inspect(paths):
    """Reads the image headers and returns the (height, width, channels) to use."""
    sizes, all_grey = set(), True
    for path in paths:
        try:
            with warnings.catch_warnings():
                # Large images are fine, they are resized.
                warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
                with PIL.Image.open(path) as image:
                    sizes.add(image.size)
                    all_grey &= image.mode in _GREY_MODES
        except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
            continue  # Decoding reports unreadable files with the cause.
    width, height = next(iter(sizes)) if len(sizes) == 1 else (0, 0)
    if not 0 < max(width, height) <= _LARGEST_COMMON_SIDE:
        height = width = _DEFAULT_SIDE
    return height, width, 1 if all_grey else 3


def _check_memory(count, shape):
    """Raises if the decoded images would need more than half of the free memory."""
    needed = count * int(np.prod(shape))
    free = psutil.virtual_memory().available
    if needed > free / 2:
        raise DatasetError(
            f"{count} images of {shape[0]}x{shape[1]}x{shape[2]} need "
            f"{needed / 2**30:.1f} GiB, more than half of the free memory "
            f"({free / 2**30:.1f} GiB). Lower `?size=` in the spec. "
            f"Received: size={shape[0]}"
        )


def _decode_all(paths, shape):
    """Decodes all files into one array; raises with a list of unreadable files."""
    height, width, channels = shape

    def read(index, path):
        image = decode_image_bytes(
            tf.io.read_file(path), height=height, width=width, channels=channels
        )
        return index, tf.cast(image, tf.uint8)

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    decoded = (
        tf.data.Dataset.zip(tf.data.Dataset.range(len(paths)), names)
        .map(read, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
    )
    images = np.empty((len(paths), *shape), np.uint8)
    unreadable = np.ones(len(paths), bool)
    for index, image in decoded.as_numpy_iterator():
        images[index] = image
        unreadable[index] = False
    if unreadable.any():
        _raise_unreadable([paths[i] for i in np.flatnonzero(unreadable)])
    return images


def _raise_unreadable(paths):
    """Raises with the first unreadable files and the causes."""
    lines = [f"{len(paths)} unreadable image file(s):"]
    for path in paths[:_LISTED]:
        try:
            decode_image_bytes(
                tf.io.read_file(str(path)), height=1, width=1, channels=3
            )
            cause = "cannot be decoded"
        except tf.errors.OpError as error:
            cause = error.message.splitlines()[0]
        lines.append(f"  {path}: {cause}")
    if len(paths) > _LISTED:
        lines.append(f"  ... and {len(paths) - _LISTED} more")
    raise DatasetError("\n".join(lines))


def _warn_ignored(paths):
    """Warns about files that are not images."""
    if paths:
        _logger.warning("Ignored, not image files: %s", _join(paths))


def _join(paths):
    """Joins the first paths and counts the rest."""
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(map(str, paths[:_LISTED])) + more
