"""Contact sheets: sample images of a data set."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from modelyard.data.images.loading import ImageSplits
from modelyard.data.images.pictures import PictureSplits

_MOST_ROWS = 30
_CELL = 72  # Side of an image with its margin, in pixels.
_DPI = 144
_PICTURE_CELL = 144  # Side of a picture without a class, in pixels.


def save_contact_sheet(
    splits: ImageSplits, path: Path, *, per_class: int = 10, seed: int = 0
) -> None:
    """Saves a PNG file with a row of training images for each class.

    Only the first 30 classes are shown.

    Args:
        splits: The data set.
        path: File to write.
        per_class: Images per row, at least 1.
        seed: Seed of the random choice of images.

    Raises:
        ValueError: If `per_class` is below 1.
    """
    if per_class < 1:
        raise ValueError(
            f"`per_class` must be at least 1. Received: per_class={per_class}"
        )
    rows = min(splits.num_classes, _MOST_ROWS)
    names = [_shorten(name) for name in splits.class_names[:rows]]
    cell = _CELL / _DPI
    left = 0.35 + 0.085 * max(map(len, names))
    top, bottom = 0.55, 0.15 if rows == splits.num_classes else 0.4
    width, height = left + per_class * cell + 0.15, top + rows * cell + bottom
    figure = _start_sheet(width, height, splits.spec, "training images by class")
    rng = np.random.default_rng(seed)
    for row, name in enumerate(names):
        middle = 1 - (top + (row + 0.5) * cell) / height
        figure.text((left - 0.12) / width, middle, name, ha="right", va="center")
        members = np.flatnonzero(splits.train.labels == row)
        chosen = rng.choice(members, min(per_class, len(members)), replace=False)
        for column, index in enumerate(chosen):
            corner = (left + column * cell, top + (row + 1) * cell)
            _show(figure, splits.train.images[index], corner, 0.92 * cell)
    if rows < splits.num_classes:
        figure.text(
            0.15 / width,
            0.2 / height,
            f"{splits.num_classes - rows} more classes are not shown.",
            fontsize=9,
            color="0.35",
            va="center",
        )
    figure.savefig(path, format="png")


def save_picture_sheet(
    splits: PictureSplits,
    path: Path,
    *,
    rows: int = 5,
    columns: int = 8,
    seed: int = 0,
) -> None:
    """Saves a PNG file with training pictures.

    Args:
        splits: The data set.
        path: File to write.
        rows: Largest number of rows, at least 1.
        columns: Largest number of pictures in a row, at least 1.
        seed: Seed of the random choice of pictures.

    Raises:
        DatasetError: If a file cannot be decoded.
        ValueError: If `rows` or `columns` is below 1.
    """
    for argument, value in (("rows", rows), ("columns", columns)):
        if value < 1:
            raise ValueError(
                f"`{argument}` must be at least 1. Received: {argument}={value}"
            )
    count = min(rows * columns, len(splits.train))
    chosen = np.random.default_rng(seed).choice(len(splits.train), count, replace=False)
    columns = min(columns, count)
    rows = -(-count // columns)
    cell = _PICTURE_CELL / _DPI
    margin, top = 0.15, 0.55
    width = max(columns * cell, 4.0) + 2 * margin
    height = top + rows * cell + margin
    figure = _start_sheet(width, height, splits.spec, "training pictures")
    for position, index in enumerate(np.sort(chosen)):
        row, column = divmod(position, columns)
        corner = (margin + column * cell, top + (row + 1) * cell)
        _show(figure, splits.train[index], corner, 0.95 * cell)
    figure.savefig(path, format="png")


def _start_sheet(width, height, spec, title):
    """Makes a figure of a size in inches, with its title."""
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    figure.text(
        0.15 / width,
        1 - 0.3 / height,
        f"{spec.rpartition('/')[2]}: {title}",
        fontsize=11,
        fontweight="bold",
        va="center",
    )
    return figure


def _show(figure, image, corner, side):
    """Draws an image, without a frame, into a square.

    The lower left corner is given in inches from the left and from the top.
    """
    width, height = figure.get_size_inches()
    left, down = corner
    axes = figure.add_axes(
        (left / width, (height - down) / height, side / width, side / height)
    )
    axes.set_axis_off()
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    else:
        axes.imshow(image)


def _shorten(name):
    """Truncates a long class name."""
    return name if len(name) <= 24 else f"{name[:23]}…"
