"""The drawings of a report: inline SVG that follows the page's colours, and PNGs."""

import base64
import functools
import io
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from modelyard.reporting.drawing import FIRST, INK, SECOND, draw_svg

_MOST_EPOCHS_WITH_MARKERS = 40
_CURVE_SIZE = (4.4, 2.9)  # Inches.
_LARGEST_SIDE = 96  # Pixels; larger pictures would make the page heavy.


def curve_figures(history: pd.DataFrame) -> dict[str, Markup]:
    """Draws the course of a training.

    Args:
        history: One row per epoch: `epoch`, `learning_rate`, `seconds`, `loss` and any
            other metrics; `val_<name>` is drawn beside `<name>`.

    Returns:
        SVG by title: one drawing per metric, and one of the learning rate.
    """
    others = {"epoch", "learning_rate", "seconds", "loss"}
    metrics = ["loss"] + [
        name for name in history if name not in others and not name.startswith("val_")
    ]
    figures = {
        name.replace("_", " ").capitalize(): draw_svg(
            name.replace("_", "-"),
            _CURVE_SIZE,
            functools.partial(_draw_metric, history=history, name=name),
        )
        for name in metrics
    }
    figures["Learning rate"] = draw_svg(
        "learning-rate", _CURVE_SIZE, lambda fig: _draw_learning_rate(fig, history)
    )
    return figures


def learning_curve_figure(lines: Mapping[str, Sequence[tuple[int, float]]]) -> Markup:
    """Draws test accuracy against the number of labels, on a log axis.

    Args:
        lines: Points `(labels, accuracy)` by what was trained. At most three; the
            third is drawn as stars without a line.

    Returns:
        SVG.
    """
    return draw_svg(
        "learning-curve", (5.6, 3.4), lambda fig: _draw_learning_curve(fig, lines)
    )


def length_figure(bins: pd.DataFrame) -> Markup:
    """Draws accuracy against length, on a log axis.

    Args:
        bins: The result of `accuracy_by_length`.

    Returns:
        SVG.
    """
    return draw_svg(
        "accuracy-by-length", (5.6, 3.2), lambda fig: _draw_length(fig, bins)
    )


def reliability_figure(bins: pd.DataFrame) -> Markup:
    """Draws accuracy against confidence, over a histogram of the confidence.

    Args:
        bins: The result of `reliability_bins`.

    Returns:
        SVG.
    """
    return draw_svg("reliability", (4.4, 4.6), lambda fig: _draw_reliability(fig, bins))


def confusion_figure(counts: np.ndarray) -> Markup:
    """Draws a confusion matrix that is too large for numbers.

    Args:
        counts: int `(k, k)`, rows are true classes.

    Returns:
        SVG.
    """
    return draw_svg("confusion", (5.4, 5.2), lambda fig: _draw_confusion(fig, counts))


def confusion_colours(counts: np.ndarray) -> np.ndarray:
    """Colours a confusion matrix by each row's shares: blue is right, red is wrong.

    Args:
        counts: int `(k, k)`, rows are true classes.

    Returns:
        float `(k, k, 4)`: red, green, blue and opacity in [0, 1]. The opacity grows
        with the root of the share, so that one mistake in a thousand is visible.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = np.empty((*counts.shape, 4))
    colours[..., :3] = 0.88, 0.25, 0.16
    colours[..., 3] = np.where(shares > 0, 0.14 + 0.75 * shares**0.5, 0)
    diagonal = np.arange(len(counts))
    colours[diagonal, diagonal, :3] = 0.20, 0.50, 0.88
    colours[diagonal, diagonal, 3] = 0.70 * shares[diagonal, diagonal]
    return colours


def picture_uri(image: np.ndarray) -> str:
    """Encodes a picture for an `img` element.

    Args:
        image: uint8 `(height, width, channels)` with 1 or 3 channels. One with a side
            above 96 pixels is shrunk by a whole factor.

    Returns:
        A `data:` URI of a PNG.
    """
    return png_uri(image, shrink=-(-max(image.shape[:2]) // _LARGEST_SIDE))


def png_uri(image: np.ndarray, *, shrink: int = 1) -> str:
    """Encodes a picture of any size for an `img` element.

    Args:
        image: uint8 `(height, width, channels)` with 1 or 3 channels.
        shrink: Whole factor by which it is shrunk.

    Returns:
        A `data:` URI of a PNG.
    """
    picture = PIL.Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    picture.reduce(shrink).save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def enlarged_uri(image: np.ndarray) -> str:
    """Encodes a picture like `picture_uri`; pixels of a small one are enlarged."""
    factor = max(1, _LARGEST_SIDE // max(image.shape[:2]))
    return picture_uri(image.repeat(factor, axis=0).repeat(factor, axis=1))


def overlay_uri(image: np.ndarray, heat_map: np.ndarray) -> str:
    """Encodes a picture under its heat map for an `img` element.

    Args:
        image: uint8 `(height, width, channels)` with 1 or 3 channels.
        heat_map: float `(height, width)` in [0, 1].

    Returns:
        A `data:` URI of a PNG: dark where the map is 0, bright where it is 1.
    """
    grey = image.mean(axis=-1, keepdims=True) / 255
    colours = mpl.colormaps["inferno"](0.95 * np.asarray(heat_map))[..., :3]
    blended = 0.4 * grey + 0.6 * colours
    return enlarged_uri(np.rint(255 * blended).astype(np.uint8))


def _draw_metric(figure: Figure, history: pd.DataFrame, name: str) -> None:
    """Draws a metric: accuracies in percent, losses on a log scale if they fall far."""
    axes = _epoch_axes(figure, history)
    drawn = _draw_lines(axes, history, (name, f"val_{name}"))
    if name.endswith("accuracy"):
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{100 * value:g}%")
        )
        return
    values = history[list(drawn)].to_numpy()
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_learning_rate(figure: Figure, history: pd.DataFrame) -> None:
    """Draws the learning rate at the end of each epoch."""
    axes = _epoch_axes(figure, history)
    style = "o-" if len(history) <= _MOST_EPOCHS_WITH_MARKERS else "-"
    axes.plot(
        history["epoch"],
        history["learning_rate"],
        style,
        color=FIRST,
        ms=3,
        clip_on=False,
    )
    axes.set_ylim(0, 1.08 * history["learning_rate"].max() or 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_learning_curve(
    figure: Figure, lines: Mapping[str, Sequence[tuple[int, float]]]
) -> None:
    """Draws one line for each way of training."""
    axes = figure.subplots()
    looks = ((FIRST, "o-"), (SECOND, "s--"), (INK, "*"))
    for (label, points), (colour, style) in zip(lines.items(), looks, strict=False):
        counts, accuracies = zip(*points, strict=True)
        size = 11 if style == "*" else 5
        axes.plot(counts, accuracies, style, color=colour, ms=size, label=label)
    axes.set_xscale("log")
    ticks = sorted({count for points in lines.values() for count, _ in points})
    axes.set_xticks(ticks, [f"{count:,}" for count in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="labels to train on", ylabel="test accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.legend(loc="best")


def _draw_length(figure: Figure, bins: pd.DataFrame) -> None:
    """Draws each group at its mean length, with the interval of its accuracy."""
    axes = figure.subplots()
    accuracy = bins["accuracy"]
    bars = np.abs(bins[["low", "high"]].to_numpy().T - accuracy.to_numpy())
    # A log axis has no place for texts without words.
    lengths = bins["length"].clip(lower=1)
    axes.errorbar(lengths, accuracy, bars, fmt="o-", color=FIRST, ms=4, capsize=3)
    axes.set_xscale("log")
    axes.set_xticks(lengths, [f"{length:,.0f}" for length in bins["length"]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="words", ylabel="test accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


def _draw_lines(
    axes: Axes, history: pd.DataFrame, columns: Iterable[str]
) -> tuple[str, ...]:
    """Draws the columns that exist; returns their names."""
    looks = {"training": (FIRST, "o-"), "validation": (SECOND, "s--")}
    drawn = tuple(name for name in columns if name in history)
    for name in drawn:
        label = "validation" if name.startswith("val_") else "training"
        colour, style = looks[label]
        if len(history) > _MOST_EPOCHS_WITH_MARKERS:
            style = style[1:]
        axes.plot(history["epoch"], history[name], style, color=colour, ms=3, lw=1.5)
        axes.lines[-1].set_label(label)
    if len(drawn) > 1:
        axes.legend(loc="best")
    return drawn


def _epoch_axes(figure: Figure, history: pd.DataFrame) -> Axes:
    """Makes axes over whole epochs."""
    axes = figure.subplots()
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(history) == 1:
        epoch = history["epoch"].iloc[0]
        axes.set_xlim(epoch - 1, epoch + 1)
    return axes


def _draw_reliability(figure: Figure, bins: pd.DataFrame) -> None:
    """Draws accuracy and histogram over the same axis of confidence."""
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)}
    )
    edges = np.arange(len(bins)) / len(bins)
    bar = {"width": 1 / len(bins), "align": "edge", "edgecolor": "none", "alpha": 0.55}
    top.bar(edges, bins["accuracy"].fillna(0), color=FIRST, **bar)
    top.plot((0, 1), (0, 1), ":", color=INK, lw=1, label="perfectly calibrated")
    top.plot(
        bins["confidence"], bins["accuracy"], "o-", color=FIRST, ms=4, label="model"
    )
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    top.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    bottom.bar(edges, bins["count"], color=SECOND, **bar)
    # One confident bin usually holds nearly everything.
    bottom.set_yscale("log")
    bottom.set_ylim(0.8, 2 * bins["count"].max())
    bottom.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bottom.yaxis.set_minor_locator(NullLocator())
    bottom.set(xlabel="confidence (score of the predicted class)", ylabel="examples")


def _draw_confusion(figure: Figure, counts: np.ndarray) -> None:
    """Draws the matrix as colours without numbers."""
    axes = figure.subplots()
    axes.grid(visible=False)
    axes.imshow(confusion_colours(counts), interpolation="none")
    axes.set(xlabel="predicted class", ylabel="true class")
