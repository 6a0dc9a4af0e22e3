"""A sequence of pictures of any size, in memory or in files."""

import hashlib
import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from modelyard.data.errors import DatasetError
from modelyard.data.images.checks import count_repeats
from modelyard.data.images.decoding import convert_to_grey, decode_picture
from modelyard.data.images.folder import describe_cause

_CHUNK = 1000


class Pictures:
    """A read-only sequence of pictures of any size.

    Files are decoded each time that they are read, so a set of pictures may be larger
    than the memory.

    Attributes:
        names: One name for each picture: the file, relative to its folder, or a split
            and a number, such as "test 12".
        sizes: int64 `(n, 2)`, `(height, width)` of each picture.
        channels: 3 for RGB, 1 for grey.
    """

    names: tuple[str, ...]
    sizes: np.ndarray
    channels: int

    def __init__(
        self,
        source: np.ndarray | Sequence[Path],
        names: Sequence[str],
        *,
        channels: int,
        sizes: np.ndarray | None = None,
        first_rows: np.ndarray | None = None,
    ):
        """Takes pictures in memory, or files.

        Args:
            source: uint8 `(n, height, width, c)` with `c` 1 or 3, or image files.
            names: `n` names.
            channels: Channels of the pictures that are read. Colours become luma;
                grey is repeated.
            sizes: int64 `(n, 2)`, required for files.
            first_rows: int64 `(n,)`, where each picture begins in its file; at 0 if
                `None`.
        """
        if isinstance(source, np.ndarray):
            if sizes is None:
                sizes = np.full((len(source), 2), source.shape[1:3], np.int64)
            grey = channels < source.shape[-1]
            images = _convert_to_grey(source) if grey else source.view()
            images.flags.writeable = False
            source = images
        elif sizes is None:
            raise ValueError("`sizes` is required for files. Received: sizes=None")
        self.names = tuple(names)
        self.sizes = sizes
        self.channels = channels
        self._source = source
        self._first_rows = first_rows

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        """Reads one picture.

        Args:
            index: Integer in [-n, n).

        Returns:
            uint8 `(height, width, channels)`.

        Raises:
            DatasetError: If the file cannot be decoded.
        """
        index = range(len(self))[operator.index(index)]
        source = self._source[index]
        picture = _read(source, self.channels) if isinstance(source, Path) else source
        height, width = self.sizes[index]
        if self._first_rows is not None:
            first = self._first_rows[index]
            picture = picture[first : first + height]
        if picture.shape[:2] != (height, width):
            raise DatasetError(
                f"The size of an image file changed after the start. Received: {source}"
            )
        if picture.shape[-1] < self.channels:
            return np.repeat(picture, self.channels, axis=-1)
        return picture

    def __iter__(self) -> Iterator[np.ndarray]:
        """Reads all pictures, one at a time."""
        return (self[index] for index in range(len(self)))

    @property
    def is_cut(self) -> bool:
        """Whether the pictures are parts of larger ones, made by `cut_rows`."""
        return self._first_rows is not None

    @property
    def sources(self) -> np.ndarray | Sequence[Path]:
        """The pictures in memory, or their files."""
        return self._source

    def take(self, indices: np.ndarray) -> "Pictures":
        """Selects pictures by index.

        Args:
            indices: Integers `(m,)` in [0, n).

        Returns:
            The selected pictures, in the order of `indices`.
        """
        source = self._source
        return Pictures(
            source[indices]
            if isinstance(source, np.ndarray)
            else [source[index] for index in indices],
            [self.names[index] for index in indices],
            channels=self.channels,
            sizes=self.sizes[indices],
            first_rows=None if self._first_rows is None else self._first_rows[indices],
        )

    def cut_rows(self, start: float, stop: float) -> "Pictures":
        """Selects a horizontal strip of each picture.

        Args:
            start: Where the strip begins, as a share of the height.
            stop: Where it ends.

        Returns:
            The strips, as many as there are pictures.
        """
        firsts, lasts = (
            np.round(share * self.sizes[:, 0]).astype(np.int64)
            for share in (start, stop)
        )
        return Pictures(
            self._source,
            [
                f"{name}, rows {first} to {last - 1}"
                for name, first, last in zip(self.names, firsts, lasts, strict=True)
            ],
            channels=self.channels,
            sizes=np.stack([lasts - firsts, self.sizes[:, 1]], axis=1),
            first_rows=firsts + (0 if self._first_rows is None else self._first_rows),
        )


def count_duplicates(splits: Mapping[str, Pictures]) -> dict[str, int]:
    """Counts exact duplicates within train, and between train and other splits.

    Files are compared byte by byte; only files of the same length are read.

    Args:
        splits: Whole pictures for each of the splits "train", "validation" and "test".

    Returns:
        The same counts as `check_splits`.
    """
    contents = {split: pictures.sources for split, pictures in splits.items()}
    lengths = Counter(_length(item) for items in contents.values() for item in items)
    digests = {
        split: [_digest(item) for item in items if lengths[_length(item)] > 1]
        for split, items in contents.items()
    }
    return count_repeats(digests)


def _length(source):
    """Returns the bytes of a picture in memory or in a file."""
    return source.nbytes if isinstance(source, np.ndarray) else source.stat().st_size


def _digest(source):
    """Hashes a picture in memory or a file."""
    data = source.tobytes() if isinstance(source, np.ndarray) else source.read_bytes()
    return hashlib.blake2b(data, digest_size=16).digest()


_decode = tf.function(decode_picture)


def _read(path, channels):
    """Decodes one file to uint8 pixels."""
    try:
        with tf.device("CPU"):
            picture = _decode(tf.io.read_file(str(path)), channels=channels)
    except tf.errors.OpError as error:
        raise DatasetError(
            f"Unreadable image file {path}: {describe_cause(error)}"
        ) from error
    return picture.numpy().astype(np.uint8)


def _convert_to_grey(images):
    """Converts uint8 colour images in memory, a thousand at a time."""
    grey = np.empty((*images.shape[:-1], 1), np.uint8)
    with tf.device("CPU"):
        for start in range(0, len(images), _CHUNK):
            chunk = convert_to_grey(images[start : start + _CHUNK])
            grey[start : start + _CHUNK] = tf.round(chunk).numpy()
    return grey
