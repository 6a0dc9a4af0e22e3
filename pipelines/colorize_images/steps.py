"""From settings to the models and measurements of `colorize-images`."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from rich.console import Console

from modelyard.data.images.loading import load_images
from modelyard.data.images.pictures import Pictures, PictureSplits
from modelyard.evaluation.pictures import color_metrics
from modelyard.models import (
    ChromaError,
    ColorCrossentropy,
    build_colorizer,
    build_picture_colorizer,
    lab_to_pixels,
    pixels_to_lab,
    quantized_colors,
    rebalancing_weights,
)
from modelyard.pipelines.colorize_images.config import Config
from modelyard.pipelines.common.pictures import (
    OURS,
    Measured,
    Trained,
    Transform,
    apply_methods,
    cut_training_patches,
    measure_splits,
    model_transform,
    read_pictures,
    train_on_patches,
)
from modelyard.training.run import Run

GREY, MEAN, TRUTH = "grey copy", "mean chroma", "original"


def require_color(**sets: Pictures) -> None:
    """Raises ValueError if all pictures of a set, named by the keyword, are grey."""
    for name, pictures in sets.items():
        if not any(np.ptp(picture, axis=-1).any() for picture in pictures):
            raise ValueError(
                "`dataset` must hold pictures in colour in each split. "
                f"Received: only grey ones in {name}"
            )


def train(
    run: Run, config: Config, splits: PictureSplits
) -> tuple[Trained, np.ndarray]:
    """Trains the model.

    Returns:
        A model from pictures to coloured ones, and the mean a and b of the training
        pictures.
    """
    # As when serving, the colorizer sees whole pictures at a low resolution.
    patches = cut_training_patches(config, splits, short_side=config.patches.patch_size)
    colors = None
    loss: keras.losses.Loss = ChromaError()
    if config.model == "distribution_colorizer":
        colors = quantized_colors()
        weights = rebalancing_weights(
            patches.train, colors, uniform_share=config.network.uniform_share
        )
        loss = ColorCrossentropy(colors, weights)
    build = functools.partial(
        build_colorizer,
        widths=config.network.widths,
        num_colors=0 if colors is None else len(colors),
    )
    trained = train_on_patches(
        run,
        build,
        loss,
        patches,
        lambda pixels, _: (pixels, pixels),
    )
    model = build_picture_colorizer(
        trained.model,
        short_side=patches.train.shape[1],
        colors=colors,
        temperature=config.network.temperature,
    )
    return trained._replace(model=model), _mean_chroma(patches.train)


def measure_all(
    model: keras.Model,
    splits: PictureSplits,
    further: Mapping[str, Pictures],
    classifier: keras.Model | None,
    mean_chroma: np.ndarray,
    console: Console,
) -> tuple[dict[str, Any], Measured]:
    """Measures the model and the baselines on the test split and further data sets.

    Returns:
        The content of `metrics.json` but for the timing, and the coloured test
        pictures.
    """
    metrics, test = measure_splits(
        lambda pictures: measure(model, pictures, console, mean_chroma=mean_chroma),
        method_metrics,
        splits,
        further,
    )
    if classifier is not None:
        metrics["classifier_accuracy"] = judge(classifier, splits.spec, test)
    return metrics, test


def measure(
    model: keras.Model,
    pictures: Pictures,
    console: Console,
    *,
    mean_chroma: np.ndarray | None = None,
) -> Measured:
    """Colours grey copies of pictures.

    Args:
        model: From pictures to coloured ones.
        pictures: The true pictures.
        console: Where progress is shown.
        mean_chroma: Mean a and b of the training pictures, for the second baseline.
    """
    names, truths = read_pictures(pictures)
    methods: dict[str, Transform] = {GREY: lambda grey: grey}
    if mean_chroma is not None:
        methods[MEAN] = functools.partial(_with_chroma, chroma=mean_chroma)
    methods[OURS] = model_transform(model)

    def make_grey(pixels, _):
        return _with_chroma(pixels, np.zeros(2))

    return apply_methods(names, truths, make_grey, methods, console)


def method_metrics(measured: Measured) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each method."""
    return {
        name: color_metrics(measured.truths, results)
        for name, results in measured.results.items()
    }


def load_classifier(path: str | None, splits: PictureSplits) -> keras.Model | None:
    """Loads the classifier that judges coloured pictures, if one is named.

    Args:
        path: Path of a `.keras` file from pixels to logits.
        splits: The pictures, of which it must take the test split.

    Raises:
        ValueError: If there is no such file, or it does not fit the pictures.
    """
    if path is None:
        return None
    if not path.endswith(".keras") or not Path(path).is_file():
        raise ValueError(
            "`classifier` must be a .keras file, such as model.keras of a run of "
            f"classify-images. Received: classifier={path}"
        )
    classes = splits.card.class_names
    if not classes:
        raise ValueError(
            f"`classifier` needs a data set with classes; {splits.spec} has none. "
            f"Received: classifier={path}"
        )
    model = keras.models.load_model(path)
    wanted = (None, *splits.test[0].shape), (None, len(classes))
    if (model.input_shape, model.output_shape) != wanted:
        raise ValueError(
            f"`classifier` must map {wanted[0]} to {wanted[1]}. Received: classifier="
            f"{path}, which maps {model.input_shape} to {model.output_shape}"
        )
    return model


def judge(
    classifier: keras.Model, dataset: str, measured: Measured
) -> dict[str, float]:
    """Returns the accuracy of a classifier on the pictures of each method.

    Args:
        classifier: From pixels to logits.
        dataset: The data set, whose test images `measured` holds.
        measured: The coloured pictures.
    """
    labels = load_images(dataset).test.labels
    accuracies = {}
    for name, made in {TRUTH: measured.truths, **measured.results}.items():
        logits = classifier.predict(np.stack(made), batch_size=500, verbose=0)
        accuracies[name] = float(np.mean(logits.argmax(axis=-1) == labels))
    return accuracies


def _with_chroma(pixels: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Pictures of the same lightness with one a and b everywhere."""
    lightness = _to_lab(pixels)[..., :1]
    chroma = np.broadcast_to(chroma, (*lightness.shape[:-1], 2))
    lab = np.concatenate([lightness, chroma], axis=-1)
    return ops.convert_to_numpy(lab_to_pixels(ops.convert_to_tensor(lab, "float32")))


def _mean_chroma(patches: np.ndarray) -> np.ndarray:
    """Mean a and b, float64 `(2,)`."""
    sums = [
        _to_lab(patches[start : start + 500])[..., 1:].mean(axis=(1, 2)).sum(axis=0)
        for start in range(0, len(patches), 500)
    ]
    return np.sum(sums, axis=0) / len(patches)


def _to_lab(pixels: np.ndarray) -> np.ndarray:
    """Converts pixels to CIE Lab."""
    return ops.convert_to_numpy(pixels_to_lab(ops.convert_to_tensor(pixels, "float32")))
