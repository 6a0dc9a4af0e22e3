"""Settings and recipes of `enhance-images`."""

import dataclasses
from typing import Literal

from modelyard.data.names import require_known
from modelyard.data.settings import group, setting
from modelyard.pipelines.common.recipes import Recipe
from modelyard.training.settings import (
    DataSettings,
    OptimizerSettings,
    OutputSettings,
    PatchSettings,
    TrainingSettings,
    check_basics,
)

MODELS = ("super_resolver",)
COMPARED = ("psnr", "ssim")


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options."""

    blocks: int = setting(5, "Residual blocks of two convolutions.")
    width: int = setting(64, "Filters of each convolution.")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting("photos", "Name in `modelyard list`, or folder:PATH.")
    model: str = setting("super_resolver", f"One of: {', '.join(MODELS)}.")
    scale: Literal[2, 3, 4] = setting(2, "Factor of enlargement.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (highest PSNR).")
    epochs: int = setting(20, "Passes over the training patches.")
    batch_size: int = setting(32, "Patches per update.")
    learning_rate: float = setting(0.001, "Peak learning rate.")
    max_train_examples: int | None = setting(
        None, "Train on that many pictures at most."
    )
    channels: Literal[1, 3] | None = setting(
        None, "1 for grey, 3 for colour. Default: as the pictures are."
    )
    evaluate_on: tuple[str, ...] = setting(
        (), "Further data sets to measure on, such as set5."
    )
    seed: int = setting(0, "Seed of weights, splits and data order.")
    data: DataSettings = group(DataSettings)
    patches: PatchSettings = group(PatchSettings)
    network: Network = group(Network)
    training: TrainingSettings = group(TrainingSettings)
    optimization: OptimizerSettings = group(
        lambda: OptimizerSettings(weight_decay=0.0, warmup_share=0.1)
    )
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use."""
        require_known("model", self.model, MODELS)
        check_basics(self)


RECIPES = (
    Recipe(
        "smoke",
        "seconds: a few steps",
        {
            "epochs": 1,
            "max_train_examples": 64,
            "max_patches": 512,
            "min_updates": 0,
            "blocks": 1,
            "width": 16,
        },
    ),
    Recipe("fast", "a high PSNR in minutes", {}),
    Recipe("best", "the highest PSNR", {"epochs": 80, "min_updates": 20_000}),
)
