"""Loads the user's own images from a folder with one sub-folder per class."""

import dataclasses
import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL.Image
import tensorflow as tf

from modelyard.data.cards.card import DatasetCard
from modelyard.data.errors import DatasetError
from modelyard.data.images.checks import check_memory
from modelyard.data.images.decoding import (
    HEADER_BYTES,
    decode_image_bytes,
    decode_picture,
    read_orientation,
)
from modelyard.data.images.examples import Examples

_logger = logging.getLogger(__name__)
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LISTED = 20
_LARGEST_COMMON_SIDE = 256
_DEFAULT_SIDE = 64
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# Formats of Pillow that TensorFlow decodes; MPO is a JPEG file with further images.
_FORMATS = ("BMP", "GIF", "JPEG", "MPO", "PNG")
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
    check_memory(
        (len(paths), *shape),
        "images",
        f"Lower `?size=` in the spec. Received: size={height}",
    )

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


def has_class_folders(folder: Path) -> bool:
    """Checks whether a folder, or its `train`, has at least two sub-folders.

    Args:
        folder: A folder of images, which need not exist.

    Returns:
        Whether the images have classes; otherwise they can only serve as pictures.
    """
    inside = _sub_folders(folder)
    if {"train", "test"} <= inside.keys():
        inside = _sub_folders(inside["train"])
    return len(inside) >= 2


def inspect_file(path: Path) -> tuple[tuple[int, int], bool] | None:
    """Reads the header of an image file.

    Args:
        path: The file.

    Returns:
        `(height, width)` of the upright image, and whether it is grey; `None` if only
        decoding can tell whether TensorFlow reads the file.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Large images, broken metadata.
            head = file.read(HEADER_BYTES)
            file.seek(0)
            with PIL.Image.open(file) as image:
                file_format, mode = image.format, image.mode
                width, height = image.size
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None
    if file_format not in _FORMATS:
        return None
    if file_format == "BMP" and int.from_bytes(head[28:30], "little") not in (24, 32):
        return None
    # Not with Pillow, which finds orientations in more places than the decoder.
    if b"Exif\0\0" in head and int(_read_orientation(tf.constant(head))) >= 5:
        height, width = width, height
    return (height, width), mode in _GREY_MODES


_read_orientation = tf.function(read_orientation)


def _sub_folders(folder):
    """Returns the visible sub-folders by name; none if the folder does not exist."""
    children = list_visible(folder) if folder.is_dir() else []
    return {child.name: child for child in children if child.is_dir()}


def _list_folder(folder):
    """Finds the splits, the classes and their files."""
    if not folder.is_dir():
        raise DatasetError(f"Not a folder of images. Received: path={folder}")
    inside = _sub_folders(folder)
    split_folders = {"all": folder}
    if "train" in inside and _sub_folders(inside["train"]):
        if "test" not in inside:
            raise DatasetError(
                "A folder with `train` must also contain `test`, or its sub-folders "
                f"must be the classes. Received: path={folder}"
            )
        known = ("train", "validation", "test")
        split_folders = {name: inside[name] for name in known if name in inside}
        warn_ignored([child for child in inside.values() if child.name not in known])

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
    names = tuple(_sub_folders(folder))
    if len(names) < 2:
        raise DatasetError(
            "A folder of images must have at least 2 sub-folders, one per class. "
            f"Received: {len(names)} in {folder}"
        )
    return names


def _list_split(folder, class_names):
    """Lists the image files of every class of one split."""
    paths, labels, ignored, empty = [], [], [], []
    ignored += [child for child in list_visible(folder) if not child.is_dir()]
    for label, name in enumerate(class_names):
        if not (folder / name).is_dir():
            continue  # Validation and test may lack a class.
        children = list_visible(folder / name)
        images = [c for c in children if c.suffix.lower() in EXTENSIONS]
        ignored += [child for child in children if child not in set(images)]
        if not images:
            empty.append(folder / name)
        paths += images
        labels += [label] * len(images)
    if empty:
        raise DatasetError(
            f"Every class must have images ({', '.join(EXTENSIONS)}). "
            f"Received: none in {join_paths(empty)}"
        )
    warn_ignored(ignored)
    return _Listing(tuple(paths), np.array(labels, dtype=np.int64))


def list_visible(folder: Path) -> list[Path]:
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
        inspected = inspect_file(path)
        if inspected is None:
            continue  # Decoding reports unreadable files with the cause.
        size, is_grey = inspected
        sizes.add(size)
        all_grey &= is_grey
    height, width = next(iter(sizes)) if len(sizes) == 1 else (0, 0)
    if not 0 < max(width, height) <= _LARGEST_COMMON_SIDE:
        height = width = _DEFAULT_SIDE
    return height, width, 1 if all_grey else 3


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
        raise_unreadable([paths[i] for i in np.flatnonzero(unreadable)])
    return images


def raise_unreadable(paths: Sequence[Path]) -> NoReturn:
    """Raises with the first unreadable files and the causes."""
    lines = [f"{len(paths)} unreadable image file(s):"]
    for path in paths[:_LISTED]:
        try:
            decode_picture(tf.io.read_file(str(path)), channels=3)
            cause = "cannot be decoded"
        except tf.errors.OpError as error:
            cause = describe_cause(error)
        lines.append(f"  {path}: {cause}")
    if len(paths) > _LISTED:
        lines.append(f"  ... and {len(paths) - _LISTED} more")
    raise DatasetError("\n".join(lines))


def describe_cause(error: tf.errors.OpError) -> str:
    """Returns the first line of an error message, without the names of the ops."""
    line = re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", error.message.splitlines()[0])
    return re.sub(r"^assertion failed: \[(.*)\]$", r"\1", line)


def warn_ignored(paths: Sequence[Path]) -> None:
    """Warns about files that are not images."""
    if paths:
        _logger.warning("Ignored, not image files: %s", join_paths(paths))


def join_paths(paths: Sequence[Path]) -> str:
    """Joins the first paths and counts the rest."""
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(map(str, paths[:_LISTED])) + more
