"""Settings and recipes of `colorize-images`."""

import dataclasses

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

MODELS = ("colorizer", "distribution_colorizer")
COMPARED = ("ciede2000", "colorfulness_ratio", "psnr")


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options."""

    widths: tuple[int, ...] = setting((48, 96, 192), "Filters of the U-Net's stages.")
    temperature: float = setting(
        0.38, "Of the colour distribution: near 0 its mode, 1 its mean."
    )
    uniform_share: float = setting(
        0.5, "Rebalancing of rare colours, from above 0 (full) to 1 (none)."
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting("photos", "Name in `modelyard list`, or folder:PATH.")
    model: str = setting("colorizer", f"One of: {', '.join(MODELS)}.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (closest colours).")
    epochs: int = setting(8, "Passes over the training patches.")
    batch_size: int = setting(64, "Patches per update.")
    learning_rate: float = setting(0.002, "Peak learning rate.")
    max_train_examples: int | None = setting(
        None, "Train on that many pictures at most."
    )
    evaluate_on: tuple[str, ...] = setting(
        (), "Further data sets to measure on, such as cbsd68."
    )
    classifier: str | None = setting(
        None, "A model.keras of classify-images that judges the coloured pictures."
    )
    seed: int = setting(0, "Seed of weights, splits and data order.")
    data: DataSettings = group(DataSettings)
    patches: PatchSettings = group(
        lambda: PatchSettings(patch_size=64, symmetries="mirror")
    )
    network: Network = group(Network)
    training: TrainingSettings = group(TrainingSettings)
    optimization: OptimizerSettings = group(
        lambda: OptimizerSettings(weight_decay=0.001, warmup_share=0.1)
    )
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use."""
        require_known("model", self.model, MODELS)
        check_basics(self)
        temperature, share = self.network.temperature, self.network.uniform_share
        check_settings(
            self.network,
            (
                ("temperature", temperature > 0, "above 0"),
                ("uniform_share", 0 < share <= 1, "in (0, 1]"),
            ),
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
            "widths": (8, 16),
        },
    ),
    Recipe("fast", "plausible colours in minutes", {}),
    Recipe("best", "the closest colours", {"epochs": 30, "min_updates": 20_000}),
)
