"""Settings and recipes of `denoise-images`."""

import dataclasses
from typing import Literal

from modelyard.data.images.noise import LEVELS, Noise, NoiseKind
from modelyard.data.names import require_known
from modelyard.data.settings import check_settings, group, setting
from modelyard.pipelines.common.recipes import Recipe
from modelyard.training.settings import (
    DataSettings,
    OptimizerSettings,
    OutputSettings,
    PatchSettings,
    TrainingSettings,
    check_basics,
)

MODELS = ("residual_denoiser", "denoising_autoencoder")
COMPARED = ("psnr", "ssim")


@dataclasses.dataclass(frozen=True)
class NoiseSettings:
    """Noise options."""

    noise: NoiseKind = setting("gaussian", "Kind of noise.")
    noise_level: float | None = setting(
        None,
        "Strength of the noise. Default: 25, for salt_and_pepper 0.1, for squares 8.",
    )
    min_noise_level: float | None = setting(
        None, "Smallest level in training. Default: always --noise-level."
    )
    clip_noise: bool = setting(False, "Clip noisy pixels to [0, 255].")

    def resolve(self) -> Noise:
        """Returns the noise that is selected, with the default level if none is.

        Raises:
            ValueError: If a level is out of range.
        """
        level = self.noise_level
        if level is None:
            level = LEVELS[self.noise].default
        return Noise(self.noise, level, self.min_noise_level, self.clip_noise)


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options."""

    depth: int = setting(12, "Convolutions of the residual model, an even number.")
    width: int = setting(64, "Filters of each.")
    downscale: int = setting(
        2, "The residual model works at a resolution that is lower by this factor."
    )
    shortcuts: bool = setting(
        True, "Shortcuts around pairs of convolutions; without: plain, as in DnCNN."
    )
    noise_map: bool = setting(
        False, "Give the residual model the noise level; estimated if unknown."
    )
    widths: tuple[int, ...] = setting((32, 64), "Filters of the autoencoder's stages.")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting("photos", "Name in `modelyard list`, or folder:PATH.")
    model: str = setting("residual_denoiser", f"One of: {', '.join(MODELS)}.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (highest PSNR).")
    epochs: int = setting(10, "Passes over the training patches.")
    batch_size: int = setting(64, "Patches per update.")
    learning_rate: float = setting(0.001, "Peak learning rate.")
    max_train_examples: int | None = setting(
        None, "Train on that many pictures at most."
    )
    channels: Literal[1, 3] | None = setting(
        None, "1 for grey, 3 for colour. Default: as the pictures are."
    )
    evaluate_on: tuple[str, ...] = setting(
        (), "Further data sets to measure on, such as bsd68."
    )
    baseline_examples: int = setting(
        200, "Test pictures for the classical methods, which are slow; 0 for none."
    )
    seed: int = setting(0, "Seed of weights, splits, noise and data order.")
    data: DataSettings = group(DataSettings)
    patches: PatchSettings = group(PatchSettings)
    noise: NoiseSettings = group(NoiseSettings)
    network: Network = group(Network)
    training: TrainingSettings = group(TrainingSettings)
    optimization: OptimizerSettings = group(
        lambda: OptimizerSettings(weight_decay=0.0001, warmup_share=0.1)
    )
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use."""
        require_known("model", self.model, MODELS)
        check_basics(self)
        is_map = self.network.noise_map
        check_settings(
            self,
            (
                ("baseline_examples", self.baseline_examples >= 0, "at least 0"),
                (
                    "model",
                    not is_map or self.model == "residual_denoiser",
                    "residual_denoiser with --noise-map",
                ),
            ),
        )
        check_settings(
            self.noise,
            [
                (
                    "noise",
                    not is_map or self.noise.noise == "gaussian",
                    "gaussian with --noise-map",
                )
            ],
        )


RECIPES = (
    Recipe(
        "smoke",
        "seconds: a few steps",
        {
            "epochs": 1,
            "max_train_examples": 64,
            "max_patches": 512,
            "min_updates": 0,
            "depth": 4,
            "width": 16,
            "baseline_examples": 8,
        },
    ),
    Recipe("fast", "a high PSNR in minutes", {}),
    Recipe("fast", "", {"symmetries": "none"}, datasets=("mnist", "digits")),
    Recipe("best", "the highest PSNR", {"epochs": 40, "min_updates": 20_000}),
    Recipe(
        "best",
        "",
        {"epochs": 40, "min_updates": 20_000, "symmetries": "none"},
        datasets=("mnist", "digits"),
    ),
)
