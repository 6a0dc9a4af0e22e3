"""Finds picture files, and reads their sizes from the headers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from modelyard.data.errors import DatasetError
from modelyard.data.images.decoding import decode_picture
from modelyard.data.images.folder import (
    EXTENSIONS,
    inspect_file,
    list_visible,
    raise_unreadable,
    warn_ignored,
)

_SPLITS = ("train", "validation", "test")

# The first bytes of a format, and bytes near the end of the file.
_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND", b"GIF8": b";"}
_TAIL = 1024  # Bytes; some programs append a few.


def find_pictures(folder: Path) -> dict[str, list[Path]]:
    """Finds the picture files in a folder and its sub-folders.

    Hidden and system files are skipped. A warning names other files that are not
    pictures.

    Args:
        folder: Folder of JPEG, PNG, GIF and BMP files.

    Returns:
        Paths in the order of their names: `{"all": ...}`; or, if there are pictures
        in both of the sub-folders `train` and `test`, one entry for each of `train`,
        `test` and, if it has pictures, `validation`.

    Raises:
        DatasetError: If the folder does not exist or has no pictures.
    """
    if not folder.is_dir():
        raise DatasetError(f"Not a folder of images. Received: path={folder}")
    children = list_visible(folder)
    listings = {
        child.name: _list_files(child)
        for child in children
        if child.name in _SPLITS and child.is_dir()
    }
    official = {
        split: listings[split][0]
        for split in _SPLITS
        if split in listings and listings[split][0]
    }
    if {"train", "test"} <= official.keys():
        others = [child for child in children if child.name not in official]
        warn_ignored([*others, *(path for s in official for path in listings[s][1])])
        return official
    pictures, others = _list_files(folder)
    if not pictures:
        raise DatasetError(
            f"The folder has no images ({', '.join(EXTENSIONS)}). "
            f"Received: path={folder}"
        )
    warn_ignored(others)
    return {"all": pictures}


def inspect_pictures(paths: Sequence[Path]) -> tuple[np.ndarray, bool]:
    """Reads the headers of picture files.

    Args:
        paths: At least one file.

    Returns:
        The sizes, int64 `(n, 2)` of `(height, width)` of the upright pictures, and
        whether all pictures are grey.

    Raises:
        DatasetError: If headers are invalid. The message lists the files.
    """
    sizes = np.zeros((len(paths), 2), np.int64)
    unreadable, all_grey = [], True
    for index, path in enumerate(paths):
        inspected = inspect_file(path) if _is_whole(path) else None
        inspected = inspected or _try_decoding(path)
        if inspected is None:
            unreadable.append(path)
        else:
            sizes[index], is_grey = inspected
            all_grey &= is_grey
    if unreadable:
        raise_unreadable(unreadable)
    return sizes, all_grey


def _is_whole(path):
    """Whether a file ends as its format demands; most damaged files are cut off."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    ends = [end for magic, end in _ENDS.items() if start.startswith(magic)]
    return all(end in tail for end in ends)


def _list_files(folder):
    """Lists the pictures and the other files below a folder, by name."""
    pictures, others, seen = [], [], set()

    def search(inside):
        if inside.resolve() in seen:
            return  # A link to a folder above it.
        seen.add(inside.resolve())
        for child in list_visible(inside):
            if child.is_dir():
                search(child)
            elif child.suffix.lower() in EXTENSIONS:
                pictures.append(child)
            else:
                others.append(child)

    search(folder)
    return pictures, others


def _try_decoding(path):
    """Decodes a file that Pillow does not read; `None` if that fails, too."""
    try:
        picture = decode_picture(tf.io.read_file(str(path)), channels=3)
    except tf.errors.OpError:
        return None
    return tuple(picture.shape[:2]), False
