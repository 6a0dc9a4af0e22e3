"""Settings and recipes of `encode-images`."""

import dataclasses

from modelyard.data.names import require_known
from modelyard.data.settings import check_settings, group, setting
from modelyard.pipelines.common.recipes import Recipe
from modelyard.training.settings import (
    DataSettings,
    OptimizerSettings,
    OutputSettings,
    TrainingSettings,
    check_basics,
)

MODELS = ("pca", "autoencoder")
COMPARED = ("psnr", "mean_squared_error", "probe_accuracy")


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options."""

    widths: tuple[int, ...] = setting((32, 64), "Filters of the autoencoder's stages.")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting("digits", "Name in `modelyard list`, or folder:PATH.")
    model: str = setting("autoencoder", f"One of: {', '.join(MODELS)}.")
    code_size: int = setting(16, "Numbers that an image is compressed to.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (lowest error).")
    epochs: int = setting(20, "Passes over the training examples; not for pca.")
    batch_size: int = setting(128, "Examples per update.")
    learning_rate: float = setting(0.003, "Peak learning rate.")
    max_train_examples: int | None = setting(
        None, "Train on a balanced subset of that many examples."
    )
    seed: int = setting(0, "Seed of weights, splits and data order.")
    data: DataSettings = group(DataSettings)
    network: Network = group(Network)
    training: TrainingSettings = group(TrainingSettings)
    optimization: OptimizerSettings = group(
        lambda: OptimizerSettings(weight_decay=0.0001)
    )
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use."""
        require_known("model", self.model, MODELS)
        check_basics(self)
        check_settings(self, [("code_size", self.code_size >= 1, "at least 1")])


RECIPES = (
    Recipe("smoke", "seconds: a few steps", {"epochs": 1, "max_train_examples": 512}),
    Recipe("fast", "a low error in minutes", {}),
    Recipe("fast", "", {"epochs": 60, "batch_size": 32}, datasets=("digits",)),
    Recipe("best", "the lowest error", {"epochs": 60}),
    Recipe("best", "", {"epochs": 200, "batch_size": 32}, datasets=("digits",)),
)
