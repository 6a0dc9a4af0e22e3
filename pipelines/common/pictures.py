"""What the pipelines from pictures to pictures share: patches, training, measuring."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress as Bar

from modelyard.data.images.picture_sequence import count_duplicates
from modelyard.data.images.pictures import (
    Pictures,
    PictureSplits,
    cut_patches,
    load_evaluation_pictures,
    load_pictures,
)
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    plan_epochs,
)
from modelyard.pipelines.common.fitting import build_and_fit
from modelyard.training.checkpoint import Progress
from modelyard.training.files import write_atomically
from modelyard.training.run import Run

PREDICT_INPUTS = "IMAGE... --output FOLDER"
OURS = "this model"  # Among the methods that are measured.
# From pixels of one size, float32 (n, height, width, channels), to others.
Transform = Callable[[np.ndarray], np.ndarray]
# From patches, uint8 (n, height, width, channels), and a seed (2,) to inputs and
# targets.
MakePairs = Callable[[tf.Tensor, tf.Tensor], tuple[Any, tf.Tensor]]

_EXAMPLES_FILE = "examples.npz"
_GOLDEN_SIDE = 32
_VALIDATION_PATCHES = 2000
_VALIDATION_SEED, _TEST_SEED = 2**31, 2**31 + 1  # Training seeds are below.
_BATCH_PIXELS = 2**18
_LARGEST_SIDE = 1024  # Of what is measured, so that a photograph takes seconds.
_MOST_PIXELS = 2**27  # Of all that is measured, to be held in memory.


class Patches(NamedTuple):
    """The patches of a training, uint8 `(n, side, side, channels)`."""

    train: np.ndarray
    validation: np.ndarray


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        model: The model, in float32.
        progress: Its history.
        num_patches: Patches of an epoch.
    """

    model: keras.Model
    progress: Progress
    num_patches: int


def load_splits(config: Any, channels: int | None) -> PictureSplits:
    """Loads the pictures that a config selects."""
    return load_pictures(
        config.dataset,
        channels=channels,
        validation_share=config.data.validation_share,
        seed=config.seed,
        max_train_examples=config.max_train_examples,
    )


def load_further(
    specs: Sequence[str], splits: PictureSplits
) -> tuple[dict[str, Pictures], PictureSplits]:
    """Loads the data sets of `evaluate_on`.

    Args:
        specs: Their specs.
        splits: The pictures of the run.

    Returns:
        The pictures by spec, and the splits with one more finding for each set: the
        number of its pictures that are exact copies of training pictures.

    Raises:
        ValueError: If one of them is the data set of the run.
    """
    further, findings = {}, dict(splits.findings)
    for spec in specs:
        if spec == splits.spec:
            raise ValueError(
                "`evaluate_on` must not name the data set of the run, whose test split "
                f"is measured anyway. Received: evaluate_on={spec}"
            )
        others = load_evaluation_pictures(spec, channels=splits.channels)
        parts = {"train": splits.train, "validation": splits.validation}
        found = count_duplicates({**parts, "test": others})
        further[spec] = others
        findings[f"{spec} duplicates of train"] = found["train_test_duplicates"]
    return further, dataclasses.replace(splits, findings=findings)


def cut_training_patches(
    config: Any, splits: PictureSplits, *, short_side: int | None = None
) -> Patches:
    """Cuts the patches of a training; in training they overlap by half.

    Args:
        config: Settings, with a group `patches`.
        splits: The pictures.
        short_side: As for `cut_patches`.
    """
    size, most = config.patches.patch_size, config.patches.max_patches
    cut = functools.partial(cut_patches, short_side=short_side, seed=config.seed)
    train = cut(splits.train, size=size, stride=max(1, size // 2), max_patches=most)
    validation = cut(
        splits.validation,
        size=train.shape[1],
        max_patches=min(most, _VALIDATION_PATCHES),
    )
    # Validation pictures may be smaller than all training pictures.
    side = min(train.shape[1], validation.shape[1])
    return Patches(train, validation[:, :side, :side])


def train_on_patches(
    run: Run,
    build: Callable[[], keras.Model],
    loss: keras.losses.Loss,
    patches: Patches,
    make_pairs: MakePairs,
) -> Trained:
    """Trains a model on patches of pictures.

    Args:
        run: The run.
        build: Builds the model, uncompiled.
        loss: Its loss.
        patches: The patches.
        make_pairs: Makes inputs and targets of patches.

    Returns:
        The trained model.
    """
    config = run.config
    examples, symmetries = patches.train, run.config.patches.symmetries
    batch_size = min(config.batch_size, len(examples))
    epochs, steps = plan_epochs(
        len(examples),
        epochs=config.epochs,
        batch_size=batch_size,
        min_updates=config.patches.min_updates,
    )
    size = "x".join(map(str, examples.shape[1:]))
    run.say(
        f"training patches: {len(examples):,} of {size}; epochs: {epochs}; "
        f"updates per epoch: {steps:,}"
    )

    def training_pairs(finished):
        dataset = make_training_dataset(
            examples,
            np.zeros(len(examples), "int64"),
            batch_size=batch_size,
            seed=config.seed,
            epochs=epochs,
            first_epoch=finished,
        )

        def make(step, batch):
            seed = tf.stack([tf.constant(config.seed, tf.int64), step])
            symmetry_seed, seed = tf.unstack(tf.random.split(seed, 2))
            pixels = _random_symmetry(batch[0], symmetries, symmetry_seed)
            return make_pairs(pixels, seed)

        return (
            dataset.enumerate(start=finished * steps)
            .map(make, num_parallel_calls=2, deterministic=True)
            .prefetch(4)
        )

    model, progress = build_and_fit(
        run,
        build,
        loss,
        training_pairs,
        _fixed_pairs(patches.validation, make_pairs, batch_size),
        epochs=epochs,
        steps_per_epoch=steps,
    )
    return Trained(model, progress, len(examples))


@dataclasses.dataclass(frozen=True)
class Measured:
    """Pictures that several methods have made from the same inputs.

    Attributes:
        names: Name of each picture.
        truths: The true pictures, uint8 `(height, width, channels)`.
        results: By method, the pictures it made, uint8 of the size of the truths.
    """

    names: Sequence[str]
    truths: Sequence[np.ndarray]
    results: Mapping[str, Sequence[np.ndarray]]


def read_pictures(
    pictures: Pictures, *, most: int | None = None, multiple: int = 1
) -> tuple[list[str], list[np.ndarray]]:
    """Reads pictures for a measurement.

    Of a picture with a side above 1,024, only the centre is used, and of a set of more
    than 134 million pixels an even selection. Pictures smaller than `multiple` are left
    out.

    Args:
        pictures: The pictures.
        most: Number of pictures above which an even selection is used.
        multiple: Sides are cut to multiples of it, at the bottom and at the right.

    Returns:
        Their names and pixels.
    """
    usable = np.flatnonzero(pictures.sizes.min(axis=1) >= multiple)
    pixels = np.minimum(pictures.sizes[usable], _LARGEST_SIDE).prod(axis=1).mean()
    most = min(most or len(usable), max(1, int(_MOST_PIXELS / pixels)), len(usable))
    chosen = usable[np.linspace(0, len(usable) - 1, most).round().astype(int)]
    names, read = [], []
    for index in chosen:
        picture = _center(pictures[index])
        height, width = (size // multiple * multiple for size in picture.shape[:2])
        names.append(pictures.names[index])
        read.append(picture[:height, :width])
    return names, read


def apply_methods(
    names: Sequence[str],
    truths: Sequence[np.ndarray],
    degrade: Callable[[np.ndarray, tf.Tensor], Any],
    methods: Mapping[str, Transform],
    console: Console,
) -> Measured:
    """Applies several methods to the same inputs.

    Args:
        names: Names of the pictures.
        truths: The true pictures, uint8 `(height, width, channels)`.
        degrade: Makes the inputs, from pictures of one size and a seed `(2,)`.
        methods: Functions from inputs to pictures.
        console: Where progress is shown.
    """
    console.print(
        f"measuring {len(truths):,} pictures: {', '.join(methods)}", highlight=False
    )
    results: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("measuring", total=len(truths))
        for start, batch in _batches(truths):
            seed = tf.constant([_TEST_SEED, start], tf.int64)
            given = np.asarray(degrade(batch, seed), np.float32)
            for name, method in methods.items():
                made = np.asarray(method(given))
                results[name] += list(np.rint(made).clip(0, 255).astype(np.uint8))
            bar.advance(task, len(batch))
    return Measured(names, truths, results)


def measure_splits(
    measure: Callable[[Pictures], Measured],
    method_metrics: Callable[[Measured], dict[str, dict[str, Any]]],
    splits: PictureSplits,
    further: Mapping[str, Pictures],
) -> tuple[dict[str, Any], Measured]:
    """Measures the test split, the validation split and further data sets.

    Args:
        measure: Applies all methods to pictures.
        method_metrics: Returns the metrics of each method.
        splits: The pictures of the run.
        further: Further data sets by name.

    Returns:
        Metrics for `metrics.json`: those of the model on `test` and `validation`, those
        of all `methods` on the test split, and `evaluated_on`, the same for each
        further data set; and the test pictures that the methods made.
    """
    test = measure(splits.test)
    methods = method_metrics(test)
    metrics = {
        "test": methods[OURS],
        "validation": method_metrics(measure(splits.validation))[OURS],
        "methods": methods,
        "evaluated_on": {
            spec: method_metrics(measure(others)) for spec, others in further.items()
        },
    }
    return metrics, test


def model_transform(model: keras.Model) -> Transform:
    """Returns a function that applies a model to a batch of any size of picture."""
    if keras.backend.backend() == "tensorflow":
        function = tf.function(
            lambda pixels: model(pixels, training=False), reduce_retracing=True
        )
        return lambda pixels: function(tf.constant(pixels)).numpy()
    return lambda pixels: keras.ops.convert_to_numpy(model(pixels, training=False))


def save_with_examples(run: Run, model: keras.Model, splits: PictureSplits) -> None:
    """Writes `model.keras`, and parts of test pictures to check its export with."""
    run.save(model)
    examples = cut_patches(splits.test, size=_GOLDEN_SIDE, max_patches=2, seed=0)
    write_atomically(
        run.folder / _EXAMPLES_FILE, lambda file: np.savez(file, images=examples)
    )


def read_examples(folder: Path) -> np.ndarray:
    """Returns the pictures that `save_with_examples` wrote."""
    with np.load(folder / _EXAMPLES_FILE) as examples:
        return examples["images"]


def _center(picture: np.ndarray) -> np.ndarray:
    """The centre of a picture that is too large to be measured in seconds."""
    height, width = picture.shape[:2]
    top, left = (max(0, size - _LARGEST_SIDE) // 2 for size in (height, width))
    return picture[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]


def _batches(pictures: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields neighbours of one size as batches, with the index of the first."""
    start = 0
    for shape, group in itertools.groupby(pictures, lambda picture: picture.shape):
        same = list(group)
        size = max(1, _BATCH_PIXELS // (shape[0] * shape[1]))
        for first in range(0, len(same), size):
            batch = np.stack(same[first : first + size])
            yield start, batch
            start += len(batch)


def _fixed_pairs(
    patches: np.ndarray, make_pairs: MakePairs, batch_size: int
) -> tf.data.Dataset:
    """Pairs of the validation patches, the same in every epoch."""
    dataset = make_evaluation_dataset(
        patches, np.zeros(len(patches), "int64"), batch_size=batch_size
    )
    first = tf.constant(_VALIDATION_SEED, tf.int64)
    return dataset.enumerate().map(
        lambda step, batch: make_pairs(batch[0], tf.stack([first, step]))
    )


def _random_symmetry(patches: tf.Tensor, which: str, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors and turns a whole batch at random; `which` as in `PatchSettings`."""
    if which == "none":
        return patches
    right, down, turn = tf.unstack(
        tf.random.stateless_uniform((3,), seed, 0, 2, tf.int32)
    )
    steps = [(right, lambda images: tf.reverse(images, [2]))]
    if which == "all":
        steps += [
            (down, lambda images: tf.reverse(images, [1])),
            (turn, lambda images: tf.transpose(images, (0, 2, 1, 3))),
        ]
    shape = patches.shape
    for chosen, change in steps:
        patches = tf.where(chosen > 0, change(patches), patches)
    return tf.ensure_shape(patches, shape)
