"""From settings to the models and measurements of `enhance-images`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from modelyard.data.images.pictures import Pictures, PictureSplits
from modelyard.data.images.shrinking import shrink_bicubic
from modelyard.evaluation.pictures import luminance, picture_metrics, psnr_of_each
from modelyard.models import build_super_resolver
from modelyard.pipelines.common.pictures import (
    OURS,
    Measured,
    Patches,
    Trained,
    apply_methods,
    cut_training_patches,
    measure_splits,
    model_transform,
    read_pictures,
    train_on_patches,
)
from modelyard.pipelines.enhance_images.config import Config
from modelyard.training.losses import LumaError
from modelyard.training.run import Run

BICUBIC, NEAREST = "bicubic", "nearest pixel"
# Of `tf.image.resize`.
_FILTERS = {NEAREST: "nearest", BICUBIC: "bicubic", "Lanczos": "lanczos3"}
_SMALL_SIDE = 16  # A border is cut off larger pictures only.


def usual_border(measured: Measured, scale: int) -> int:
    """Returns the border to leave out: `scale` pixels, as in the literature.

    It is 0 if some picture is so small that little would remain.
    """
    smallest = min(min(truth.shape[:2]) for truth in measured.truths)
    return scale if smallest > _SMALL_SIDE else 0


def psnr_on_luminance(
    truths: Sequence[np.ndarray], results: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns the PSNR of each picture on its luminance."""
    return psnr_of_each(
        [luminance(truth) for truth in truths], [luminance(made) for made in results]
    )


def check_scale(scale: int, *sets: Pictures) -> None:
    """Raises ValueError if all pictures of a set are too small to be shrunk."""
    for pictures in sets:
        largest = pictures.sizes.min(axis=1).max()
        if largest < scale:
            raise ValueError(
                "`scale` must be at most the shorter side of some picture of each "
                f"split, {largest}. Received: scale={scale}"
            )


def train(run: Run, config: Config, splits: PictureSplits) -> Trained:
    """Trains the model."""
    scale = config.scale
    patches = cut_training_patches(config, splits)
    patches = Patches(*(_cut_to_multiple(part, scale) for part in patches))
    build = functools.partial(
        build_super_resolver,
        scale,
        splits.channels,
        blocks=config.network.blocks,
        width=config.network.width,
    )
    return train_on_patches(
        run,
        build,
        LumaError(),
        patches,
        lambda large, _: (shrink_bicubic(large, scale), large),
    )


def measure_all(
    model: keras.Model,
    scale: int,
    splits: PictureSplits,
    further: Mapping[str, Pictures],
    console: Console,
) -> tuple[dict[str, Any], Measured]:
    """Measures the model and plain filters on the test split and further data sets.

    Returns:
        The content of `metrics.json` but for the timing, and the enlarged test
        pictures.
    """
    return measure_splits(
        lambda pictures: measure(model, pictures, scale, console),
        lambda measured: method_metrics(measured, scale),
        splits,
        further,
    )


def measure(
    model: keras.Model, pictures: Pictures, scale: int, console: Console
) -> Measured:
    """Shrinks pictures, and enlarges them with the model and with plain filters."""
    names, truths = read_pictures(pictures, multiple=scale)
    methods = {
        name: functools.partial(_resize, method, scale)
        for name, method in _FILTERS.items()
    }
    return apply_methods(
        names,
        truths,
        lambda pixels, _: shrink_bicubic(pixels, scale),
        {**methods, OURS: model_transform(model)},
        console,
    )


def method_metrics(measured: Measured, scale: int) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each method on the luminance, without a border.

    The border has the width of `usual_border`.
    """
    border = usual_border(measured, scale)
    truths = [luminance(truth) for truth in measured.truths]
    return {
        name: picture_metrics(
            truths, [luminance(result) for result in results], border=border
        )
        for name, results in measured.results.items()
    }


def receptive_radius(blocks: int) -> int:
    """Returns how many pixels of the input away a pixel can depend on."""
    return 2 * blocks + 3


def _cut_to_multiple(patches: np.ndarray, scale: int) -> np.ndarray:
    """Cuts patches to a side that the factor divides."""
    side = patches.shape[1] // scale * scale
    return patches[:, :side, :side]


def _resize(method: str, scale: int, small: np.ndarray) -> np.ndarray:
    """Enlarges a batch with a filter."""
    size = [scale * side for side in small.shape[1:3]]
    return tf.image.resize(small, size, method).numpy()
