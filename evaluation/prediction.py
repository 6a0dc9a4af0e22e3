"""Class probabilities of a trained classifier, with test-time augmentation."""

import contextlib
from collections.abc import Callable
from typing import Literal

import keras
import numpy as np
from rich.console import Console
from scipy.special import softmax

from modelyard.data.images.pipeline import make_evaluation_dataset
from modelyard.evaluation.progress import PredictionProgress

Views = Literal["none", "flip", "shift", "flip_shift", "six"]
_View = Callable[[np.ndarray], np.ndarray]


def predict_scores(
    model: keras.Model,
    images: np.ndarray,
    *,
    views: Views = "none",
    batch_size: int = 500,
    console: Console | None = None,
) -> np.ndarray:
    """Predicts class probabilities.

    Args:
        model: Model from pixels to logits.
        images: uint8 `(n, height, width, channels)`.
        views: Test-time augmentation: averages the logits over the image and its
            mirror image (`"flip"`), over the image and its copies shifted by one pixel
            up, down, left and right (`"shift"`), or over all of these
            (`"flip_shift"`). `"six"` averages over the image, its copies shifted up
            and left and down and right, which have half its weight, and the mirror
            images of all three ([Jordan, 2024](https://arxiv.org/abs/2404.00498)).
        batch_size: Images per batch.
        console: Where progress is shown; nowhere by default.

    Returns:
        float32 `(n, num_classes)`; rows sum to one.
    """
    logits = []
    for number, view in enumerate(_VIEWS[views], 1):
        title = "predicting"
        if views != "none":
            title += f", view {number} of {len(_VIEWS[views])}"
        progress = PredictionProgress(
            console or Console(quiet=True),
            title,
            count=len(images),
            batch_size=batch_size,
            leaves_line=False,
        )
        logits.append(predict_in_order(model, view(images), batch_size, progress))
    averaged = np.average(
        logits,
        axis=0,
        weights=[2, 2, 1, 1, 1, 1] if views == "six" else None,
    )
    return softmax(averaged, axis=-1).astype("float32")


def predict_in_order(
    model: keras.Model,
    images: np.ndarray,
    batch_size: int,
    progress: PredictionProgress,
) -> np.ndarray:
    """Returns a model's outputs for uint8 `(n, height, width, channels)`."""
    labels = np.zeros(len(images), "int64")
    dataset = make_evaluation_dataset(images, labels, batch_size=batch_size)
    with contextlib.closing(progress):
        return model.predict(dataset, verbose=0, callbacks=[progress])


def _shifted(down: int, right: int) -> _View:
    """A function that shifts images by a pixel and repeats their border."""

    def view(images):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        height, width = images.shape[1:3]
        return padded[:, 1 - down :, 1 - right :][:, :height, :width]

    return view


def _mirrored(view: _View) -> _View:
    """The same view of the mirror image."""
    return lambda images: view(images[:, :, ::-1])


_SHIFTS = [_shifted(*step) for step in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
_DIAGONALS = [_shifted(1, 1), _shifted(-1, -1)]
_VIEWS: dict[str, list[_View]] = {
    "none": _SHIFTS[:1],
    "flip": [_SHIFTS[0], _mirrored(_SHIFTS[0])],
    "shift": _SHIFTS,
    "flip_shift": [*_SHIFTS, *map(_mirrored, _SHIFTS)],
    "six": [
        _SHIFTS[0],
        _mirrored(_SHIFTS[0]),
        *_DIAGONALS,
        *map(_mirrored, _DIAGONALS),
    ],
}
