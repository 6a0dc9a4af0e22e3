"""Sections about pictures that were restored, enlarged or coloured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from modelyard.reporting.drawing import FIRST, INK, SECOND, draw_svg
from modelyard.reporting.figures import png_uri
from modelyard.reporting.sections import Picture, Section

_LARGEST_SIDE = 192  # Pixels; larger pictures are cropped.
_CROP_SIDE = 128
_CROP_STEP = 8  # Pixels between the crops that are compared.
_ENLARGED_SIDE = 96  # Small pictures are enlarged up to this.
_LOOKS = ((FIRST, "o-"), (SECOND, "s-"), (INK, "^--"), (SECOND, "D--"))
_MOST_TICKS = 8


class Triplet(NamedTuple):
    """Pictures of one scene side by side, such as noisy, result and original.

    Attributes:
        pictures: uint8 `(height, width, channels)` with 1 or 3 channels by label, in
            the order in which they are shown. The last one is the truth.
        caption: Words below.
        note: A figure after the caption, such as `"31.2 dB"`.
    """

    pictures: Mapping[str, np.ndarray]
    caption: str = ""
    note: str = ""


def triplet_section(title: str, note: str, triplets: Sequence[Triplet]) -> Section:
    """Shows pictures beside what was made of them.

    All pictures of a triplet are shown at one size: smaller ones are enlarged to that
    of the largest by repeating pixels. If a side is then above 192 pixels, only 128x128
    are shown, at the place where the truth varies most.

    Args:
        title: The heading.
        note: A sentence or two below it. The labels are added, from left to right, if
            all triplets have the same.
        triplets: What to show.

    Returns:
        The section.

    Raises:
        ValueError: If a triplet is empty, or a picture is not as described there.
    """
    labels = {tuple(triplet.pictures) for triplet in triplets}
    if len(labels) == 1:
        order = f"From left to right: {', '.join(labels.pop())}."
        note = f"{note} {order}".strip()
    return Section(title=title, note=note, pictures=[_draw(t) for t in triplets])


def level_figure(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    *,
    name: str = "levels",
) -> Markup:
    """Draws how a metric depends on a level, such as PSNR on that of the noise.

    Args:
        lines: Points `(level, value)` by method, at most four methods.
        xlabel: What the levels are.
        ylabel: What the values are.
        name: What the figure shows; unique among the figures of a page.

    Returns:
        SVG.

    Raises:
        ValueError: If there are no lines or more than four, or a line has no points.
    """
    if not 1 <= len(lines) <= len(_LOOKS):
        raise ValueError(
            f"`lines` must hold 1 to {len(_LOOKS)} methods. Received: {len(lines)}"
        )
    empty = [label for label, points in lines.items() if not len(points)]
    if empty:
        raise ValueError(
            "`lines` must hold at least one point for each method. "
            f"Received: none for {', '.join(empty)}"
        )
    return draw_svg(
        name, (5.6, 3.4), lambda fig: _draw_levels(fig, lines, xlabel, ylabel)
    )


def _draw(triplet: Triplet) -> Picture:
    """Brings the pictures to one size and encodes them."""
    _check(triplet)
    pictures = list(triplet.pictures.values())
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    pictures = [_enlarge(picture, height, width) for picture in pictures]
    factor = max(1, _ENLARGED_SIDE // max(height, width))
    if max(height, width) > _LARGEST_SIDE:
        place = _most_detailed(pictures[-1])
        pictures = [picture[place] for picture in pictures]
    uris = [
        png_uri(picture.repeat(factor, axis=0).repeat(factor, axis=1))
        for picture in pictures
    ]
    return Picture(
        dict(zip(triplet.pictures, uris, strict=True)),
        caption=triplet.caption,
        note=triplet.note,
        is_small=factor > 1,
    )


def _check(triplet: Triplet) -> None:
    """Checks the pictures of a triplet."""
    if not triplet.pictures:
        raise ValueError("`pictures` must not be empty. Received: pictures={}")
    for label, picture in triplet.pictures.items():
        is_picture = picture.ndim == 3 and picture.shape[-1] in (1, 3) and picture.size
        if not is_picture or picture.dtype != np.uint8:
            raise ValueError(
                "`pictures` must be uint8 (height, width, channels) with 1 or 3 "
                f"channels. Received: {label} is {picture.dtype} {picture.shape}"
            )


def _enlarge(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarges a picture by repeating pixels."""
    rows = np.arange(height) * picture.shape[0] // height
    columns = np.arange(width) * picture.shape[1] // width
    return picture[rows][:, columns]


def _most_detailed(picture: np.ndarray) -> tuple[slice, slice]:
    """Finds the crop with the highest variance."""
    grey = picture.mean(axis=-1)
    height, width = (min(_CROP_SIDE, side) for side in grey.shape)
    mean = _crop_means(grey, height, width)
    variances = _crop_means(np.square(grey), height, width) - np.square(mean)
    row, column = np.unravel_index(int(variances.argmax()), variances.shape)
    top, left = int(row) * _CROP_STEP, int(column) * _CROP_STEP
    return slice(top, top + height), slice(left, left + width)


def _crop_means(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means of all crops of one size, a step apart."""
    # A window of a running total needs no pass over its pixels.
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    rows = total[height:] - total[:-height]
    sums = rows[:, width:] - rows[:, :-width]
    return sums[::_CROP_STEP, ::_CROP_STEP] / (height * width)


def _draw_levels(
    figure: Figure,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
) -> None:
    """Draws one line for each method."""
    axes = figure.subplots()
    for (label, points), (colour, style) in zip(lines.items(), _LOOKS, strict=False):
        levels, values = zip(*sorted(points), strict=True)
        axes.plot(levels, values, style, color=colour, ms=4, lw=1.5, label=label)
    ticks = sorted({level for points in lines.values() for level, _ in points})
    if len(ticks) <= _MOST_TICKS:
        axes.set_xticks(ticks, [f"{level:g}" for level in ticks])
    # Names may hold a dollar sign, which would start mathematics.
    axes.set_xlabel(xlabel, parse_math=False)
    axes.set_ylabel(ylabel, parse_math=False)
    for text in axes.legend(loc="best").get_texts():
        text.set_parse_math(False)
