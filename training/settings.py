"""Groups of settings that several pipelines share. Importing this loads no Keras."""

import dataclasses
import re
from typing import Any, Literal

from modelyard.data.settings import check_settings, setting


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Data options."""

    validation_share: float = setting(
        1 / 12, "Share of the training examples kept for validation."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        rule = ("validation_share", 0 < self.validation_share < 1, "in (0, 1)")
        check_settings(self, [rule])


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Training options."""

    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Precision of the training; exports are float32."
    )
    xla: Literal["auto", "on", "off"] = setting(
        "auto", "Compile training steps with XLA; auto: only on a GPU."
    )


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """Optimizer options."""

    optimizer: Literal["sgd", "adam", "adamw", "muon", "filter_muon"] = setting(
        "adamw", "Update rule."
    )
    schedule: Literal["constant", "cosine", "one_cycle"] = setting(
        "one_cycle", "Learning rate schedule after the warm-up."
    )
    warmup_share: float = setting(0.25, "Share of the updates used for warm-up.")
    weight_decay: float = setting(0.05, "Decoupled weight decay; not applied by adam.")
    momentum: float = setting(0.9, "Momentum of sgd, muon and filter_muon.")
    clip_norm: float = setting(
        0.0, "Maximum global norm of the gradients; 0 disables clipping."
    )
    ema: float = setting(
        0.0, "Decay of the weight average used after training; 0 disables it."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        check_settings(
            self,
            (
                ("warmup_share", 0 <= self.warmup_share < 1, "in [0, 1)"),
                ("weight_decay", self.weight_decay >= 0, "at least 0"),
                ("momentum", 0 <= self.momentum < 1, "in [0, 1)"),
                ("clip_norm", self.clip_norm >= 0, "at least 0"),
                ("ema", 0 <= self.ema < 1, "in [0, 1)"),
            ),
        )


@dataclasses.dataclass(frozen=True)
class OutputSettings:
    """Output options."""

    export: bool = setting(True, "Publish a SavedModel at the end.")
    export_name: str | None = setting(
        None, "Name of the SavedModel. Default: <dataset>-<model>."
    )
    runs_dir: str = setting("runs", "Folder for runs.")
    saved_models_dir: str = setting("saved_models", "Folder for SavedModels.")

    def __post_init__(self):
        """Refuses names that would escape the folder of SavedModels."""
        is_plain = self.export_name is None or re.fullmatch(
            r"\w[\w.-]*", self.export_name
        )
        rule = "a plain name of letters, digits, dots and dashes"
        check_settings(self, [("export_name", is_plain, rule)])


@dataclasses.dataclass(frozen=True)
class PatchSettings:
    """Options of the training patches."""

    patch_size: int = setting(48, "Side of the square training patches, in pixels.")
    max_patches: int = setting(
        100_000, "Most patches to keep in memory; a random subset of a larger set."
    )
    symmetries: Literal["all", "mirror", "none"] = setting(
        "all", "Random changes of patches; mirror: left-right; all: also 90° turns."
    )
    min_updates: int = setting(
        2000, "Updates to train for at least; adds epochs for small data."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        check_settings(
            self,
            (
                ("patch_size", self.patch_size >= 1, "at least 1"),
                ("max_patches", self.max_patches >= 1, "at least 1"),
                ("min_updates", self.min_updates >= 0, "at least 0"),
            ),
        )


def check_basics(config: Any) -> None:
    """Checks the settings of one training that every config has.

    Args:
        config: A config with `epochs`, `batch_size`, `learning_rate` and `seed`.

    Raises:
        ValueError: If a value is out of range.
    """
    check_settings(
        config,
        (
            ("epochs", config.epochs >= 1, "at least 1"),
            ("batch_size", config.batch_size >= 1, "at least 1"),
            ("learning_rate", config.learning_rate > 0, "above 0"),
            ("seed", config.seed >= 0, "at least 0"),
        ),
    )
