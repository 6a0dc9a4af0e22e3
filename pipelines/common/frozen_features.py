"""First phase of transfer learning: a linear head on cached, frozen features."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits
from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_in_order
from modelyard.evaluation.progress import PredictionProgress
from modelyard.training.files import write_atomically
from modelyard.training.linear_head import LinearHead, fit_linear_head

# Feature maps of larger batches do not fit in the caches of a processor.
PREDICT_BATCH = 64
_HEAD_FILE = "frozen.npz"


@dataclasses.dataclass(frozen=True, eq=False)
class FrozenPhase:
    """Result of the first phase.

    Attributes:
        head: The classifier on the features of the frozen backbone.
        validation_loss: Its log loss on validation.
        validation_accuracy: Its accuracy there.
        feature_seconds: Time spent computing the features of train and validation.
        head_seconds: Time spent fitting the head.
    """

    head: LinearHead
    validation_loss: float
    validation_accuracy: float
    feature_seconds: float
    head_seconds: float


class FeatureCache:
    """Features of the frozen backbone, computed once and kept in the run folder.

    Args:
        model: The classifier whose backbone is used.
        folder: Where the features are kept.
        console: Where progress is shown.

    Attributes:
        seconds: Time spent computing them, by name, in this run or before.
    """

    def __init__(self, model: keras.Model, folder: Path, console: Console):
        self._model = keras.Model(model.input, model.get_layer("features").output)
        self._folder = folder
        self._console = console
        self.seconds: dict[str, float] = {}

    def features(self, name: str, images: np.ndarray) -> np.ndarray:
        """Returns the features float32 `(n, d)` of uint8 images under that name."""
        path = self._folder / f"{name}.npz"
        if path.exists():
            with np.load(path) as kept:
                if name not in self.seconds:
                    self.seconds[name] = float(kept["seconds"])
                return kept["features"]
        began = time.perf_counter()
        progress = PredictionProgress(
            self._console,
            f"features of {name}",
            count=len(images),
            batch_size=PREDICT_BATCH,
        )
        features = predict_in_order(self._model, images, PREDICT_BATCH, progress)
        features = features.astype("float32")
        self._folder.mkdir(exist_ok=True)
        seconds = self.seconds[name] = time.perf_counter() - began
        write_atomically(
            path, lambda file: np.savez(file, features=features, seconds=seconds)
        )
        return features

    def train_features(
        self, examples: Examples, *, flip: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns features and labels for training, of the mirror images too."""
        features = self.features("train", examples.images)
        if not flip:
            return features, examples.labels
        mirrored = self.features("train_mirrored", examples.images[:, :, ::-1])
        return (
            np.concatenate([features, mirrored]),
            np.concatenate([examples.labels, examples.labels]),
        )


def fit_frozen(
    splits: ImageSplits, cache: FeatureCache, folder: Path, *, flip: bool
) -> FrozenPhase:
    """Fits the head, or loads the one that an interrupted run fitted.

    Args:
        splits: The examples.
        cache: Features of the frozen backbone.
        folder: Run folder, where the result is kept.
        flip: Whether the head learns from the mirror images too.
    """
    path = folder / _HEAD_FILE
    if path.exists():
        return _load_phase(path)
    validation = cache.features("validation", splits.validation.images)
    features, labels = cache.train_features(splits.train, flip=flip)
    began = time.perf_counter()
    head = fit_linear_head(
        features,
        labels,
        validation,
        splits.validation.labels,
        num_classes=splits.num_classes,
    )
    head_seconds = time.perf_counter() - began
    found = classification_metrics(head.scores(validation), splits.validation.labels)
    phase = FrozenPhase(
        head,
        validation_loss=found["log_loss"],
        validation_accuracy=found["accuracy"],
        feature_seconds=sum(cache.seconds.values()),
        head_seconds=head_seconds,
    )
    _save_phase(path, phase)
    return phase


def set_head(model: keras.Model, head: LinearHead) -> None:
    """Puts a head into the layer `logits` of a classifier."""
    model.get_layer("logits").set_weights([head.kernel, head.bias])


def _save_phase(path: Path, phase: FrozenPhase) -> None:
    """Writes the first phase, so that a resumed run need not repeat it."""
    arrays = {**vars(phase), **vars(phase.head)}
    del arrays["head"]
    write_atomically(path, lambda file: np.savez(file, **arrays))


def _load_phase(path: Path) -> FrozenPhase:
    """Reads what `_save_phase` wrote."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    head = LinearHead(arrays.pop("kernel"), arrays.pop("bias"), float(arrays.pop("l2")))
    return FrozenPhase(head, **{name: float(value) for name, value in arrays.items()})
