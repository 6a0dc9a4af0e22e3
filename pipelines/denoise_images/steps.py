"""From settings to the models and measurements of `denoise-images`."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from modelyard.data.images.add_noise import add_noise
from modelyard.data.images.noise import LEVELS, Noise
from modelyard.data.images.pictures import Pictures, PictureSplits
from modelyard.evaluation.denoising import CLASSICAL
from modelyard.evaluation.pictures import picture_metrics
from modelyard.exporting.picture_model import ExtraSignature
from modelyard.models import (
    build_blind_denoiser,
    build_denoising_autoencoder,
    build_residual_denoiser,
)
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
from modelyard.pipelines.denoise_images.config import Config, Network
from modelyard.training.losses import PixelError
from modelyard.training.run import Run

NOISY, GIVEN = "noisy input", f"{OURS}, level given"
# Of the level that is trained for; see `measure_levels`.
_LEVEL_FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
_NUM_LEVEL_PICTURES = 50


def train(run: Run, config: Config, splits: PictureSplits, noise: Noise) -> Trained:
    """Trains the model."""

    def make_pairs(clean, seed):
        noisy, levels = add_noise(clean, noise, seed=seed, training=True)
        if config.network.noise_map:
            return {"pixels": noisy, "noise_level": levels}, clean
        return noisy, clean

    build = functools.partial(
        build_denoiser, config.model, splits.channels, config.network
    )
    patches = cut_training_patches(config, splits)
    return train_on_patches(run, build, PixelError(), patches, make_pairs)


def measure(
    model: keras.Model,
    pictures: Pictures,
    noise: Noise,
    console: Console,
    *,
    classical: bool = False,
    most: int | None = None,
) -> Measured:
    """Denoises pictures with the model, and on request with the classical methods.

    Args:
        model: A trained model.
        pictures: The clean pictures.
        noise: The noise that is added, the same for all methods.
        console: Where progress is shown.
        classical: Whether the classical methods are applied as well.
        most: Number of pictures above which an even selection is used.
    """
    names, truths = read_pictures(pictures, most=most)
    methods = {NOISY: lambda noisy: noisy, **_transforms(model, noise.level)}
    if classical and noise.has_sigma:
        methods |= {
            name: functools.partial(_denoise_each, denoise, noise)
            for name, denoise in CLASSICAL.items()
        }
    return apply_methods(names, truths, _degrade(noise), methods, console)


def measure_all(
    model: keras.Model,
    config: Config,
    splits: PictureSplits,
    further: Mapping[str, Pictures],
    console: Console,
) -> tuple[dict[str, Any], Measured]:
    """Measures the model and its rivals on the test split and on further data sets.

    Returns:
        The content of `metrics.json` but for the timing, and the denoised test
        pictures.
    """
    noise, most = config.noise.resolve(), config.baseline_examples

    def measure_one(pictures, **options):
        return measure(model, pictures, noise, console, **options)

    metrics, test = measure_splits(measure_one, method_metrics, splits, {})
    if most and noise.has_sigma:
        rivals = measure_one(splits.test, classical=True, most=most)
        metrics["classical"] = method_metrics(rivals)
    metrics["levels"] = measure_levels(model, splits.test, noise, console)
    metrics["evaluated_on"] = {
        spec: method_metrics(measure_one(others, classical=len(others) <= most))
        for spec, others in further.items()
    }
    return metrics, test


def measure_levels(
    model: keras.Model, pictures: Pictures, noise: Noise, console: Console
) -> dict[str, list[list[float]]]:
    """Measures PSNR at levels below and above the one that was trained for.

    Returns:
        By method, pairs of level and PSNR; nothing for erased squares.
    """
    lines: dict[str, list[list[float]]] = {}
    if noise.kind == "erased_squares":
        return lines
    console.print(f"measuring {len(_LEVEL_FACTORS)} noise levels", highlight=False)
    quiet = Console(quiet=True)
    for factor in _LEVEL_FACTORS:
        level = min(factor * noise.level, LEVELS[noise.kind].largest)
        changed = dataclasses.replace(noise, level=level, min_level=None)
        found = measure(model, pictures, changed, quiet, most=_NUM_LEVEL_PICTURES)
        for name, metrics in method_metrics(found).items():
            lines.setdefault(name, []).append([level, metrics["psnr"]])
    return lines


def method_metrics(measured: Measured) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each method."""
    return {
        name: picture_metrics(measured.truths, results)
        for name, results in measured.results.items()
    }


def served_model(model: keras.Model) -> keras.Model:
    """Returns the model from pixels alone, which estimates a noise level it needs."""
    return model if len(model.inputs) == 1 else build_blind_denoiser(model)


def more_signatures(
    model: keras.Model, num_pictures: int, level: float
) -> dict[str, ExtraSignature]:
    """Returns the signature that takes a noise level, if the model takes one."""
    if len(model.inputs) == 1:
        return {}

    def denoise(pixels, noise_level):
        inputs = {"pixels": pixels, "noise_level": noise_level}
        return model(inputs, training=False)

    levels = np.full(num_pictures, level, "float32")
    return {"denoise": ExtraSignature(denoise, {"noise_level": levels})}


def strip_options(model: str, network: Network) -> dict[str, Any]:
    """Returns how an export cuts large pictures: as for `export_picture_model`."""
    if network.noise_map:
        return {"halo": None}  # The noise level is estimated from the whole picture.
    if model == "denoising_autoencoder":
        stride = 2 ** len(network.widths)
        return {"halo": 5 * stride, "multiple": stride}
    return {
        "halo": (network.depth + 1) * network.downscale,
        "multiple": network.downscale,
    }


def build_denoiser(model: str, channels: int, network: Network) -> keras.Model:
    """Builds the model of a name."""
    if model == "denoising_autoencoder":
        return build_denoising_autoencoder(channels, widths=network.widths)
    return build_residual_denoiser(
        channels,
        depth=network.depth,
        width=network.width,
        downscale=network.downscale,
        shortcuts=network.shortcuts,
        noise_map=network.noise_map,
    )


def _transforms(model: keras.Model, level: float) -> dict[str, Transform]:
    """The model as it is served and, if it takes one, with the true noise level."""
    ours = {OURS: model_transform(served_model(model))}
    if len(model.inputs) == 1:
        return ours

    def given(pixels):
        levels = np.full(len(pixels), level, "float32")
        inputs = {"pixels": pixels, "noise_level": levels}
        return keras.ops.convert_to_numpy(model(inputs, training=False))

    return {**ours, GIVEN: given}


def _degrade(noise: Noise) -> Callable[[np.ndarray, tf.Tensor], tf.Tensor]:
    """Adds the noise of the evaluation."""
    return lambda pixels, seed: add_noise(pixels, noise, seed=seed, training=False)[0]


def _denoise_each(
    denoise: Callable[[np.ndarray, float], np.ndarray], noise: Noise, batch: np.ndarray
) -> np.ndarray:
    """Applies a classical method, which takes one picture at a time."""
    return np.stack([denoise(picture, _sigma(noise, picture)) for picture in batch])


def _sigma(noise: Noise, picture: np.ndarray) -> float:
    """The standard deviation of the noise in a picture, over all pixels."""
    if noise.kind == "poisson":  # The variance is proportional to the brightness.
        return noise.level * float(np.sqrt(max(picture.mean(), 0) / 255))
    return noise.level
