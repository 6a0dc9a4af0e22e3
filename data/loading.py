"""Loading of image classification data into train, validation and test."""

import dataclasses
from pathlib import Path

import numpy as np

from modelyard.data.catalogue import (
    FOLDS,
    DatasetCard,
    DatasetSpec,
    find_card,
    parse_spec,
    tfds_data_dir,
)
from modelyard.data.errors import DatasetError
from modelyard.data.examples import Examples, draw_stratified
from modelyard.data.image_checks import check_splits


@dataclasses.dataclass(frozen=True)
class ImageSplits:
    """An image classification data set, ready for training.

    Args:
        card: What is known about the data set.
        spec: The spec that named it.
        train: Examples to fit.
        validation: Examples to choose by, cut from train unless they came apart.
        test: Examples for the final measurement.
        findings: What was noticed: `test_is_official`, and the counts of
            `check_splits`.
    """

    card: DatasetCard
    spec: str
    train: Examples
    validation: Examples
    test: Examples
    findings: dict[str, bool | int]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in the order of the labels."""
        return self.card.class_names

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.card.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image: `(height, width, channels)`."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def load_images(
    spec: str,
    *,
    validation_share: float = 1 / 12,
    seed: int = 0,
    max_train_examples: int | None = None,
    data_dir: Path | None = None,
) -> ImageSplits:
    """Loads, checks and splits a data set of images.

    Args:
        spec: `mnist`, `digits?fold=2`, `folder:PATH?size=96`; see `parse_spec`.
        validation_share: Share of train that becomes validation, in (0, 1). Each
            class keeps its share.
        seed: Seed of that cut and of `max_train_examples`. The test split does not
            depend on it.
        max_train_examples: Most examples left in train, at least one of each class.
        data_dir: Folder of prepared TensorFlow Datasets; `tfds_data_dir()` if `None`.

    Returns:
        The splits, with findings about them.

    Raises:
        DatasetError: If the spec is wrong, or the data cannot be trained on.
        DatasetUnavailableError: If the data cannot be had.
        ValueError: If another argument is out of range.
    """
    if not 0 < validation_share < 1:
        raise ValueError(
            "`validation_share` must be in (0, 1). "
            f"Received: validation_share={validation_share}"
        )
    card, parts = _load_source(parse_spec(spec), data_dir)
    official = card.has_official_test
    if not official:
        parts = _cut_test(parts["all"], parse_spec(spec).fold or 0, card.class_names)

    rng = np.random.default_rng(seed)
    train = parts["train"]
    validation = parts.get("validation")
    if validation is None:
        train, validation = _cut_validation(
            train, validation_share, card.class_names, rng
        )
    train = _limit(train, max_train_examples, len(card.class_names), rng)
    splits = {"train": train, "validation": validation, "test": parts["test"]}
    counts = check_splits(
        {name: examples.images for name, examples in splits.items()},
        {name: examples.labels for name, examples in splits.items()},
        card.class_names,
    )
    findings = {"test_is_official": official, **counts}
    return ImageSplits(card, spec, **splits, findings=findings)


def _load_source(
    spec: DatasetSpec, data_dir: Path | None
) -> tuple[DatasetCard, dict[str, Examples]]:
    """Reads the examples from where the spec says, by official split or as "all"."""
    if spec.path is not None:
        from modelyard.data.image_folder import load_image_folder

        card, parts = load_image_folder(
            spec.path, size=spec.size, channels=spec.channels
        )
        if spec.fold is not None and card.has_official_test:
            raise DatasetError(
                "`fold` must be left out where the folder has its own `test`. "
                f"Received: fold={spec.fold}"
            )
        return card, parts
    card = find_card(spec.name)
    if card.source == "tfds":
        from modelyard.data.tfds_images import load_tfds_images

        return card, load_tfds_images(card, Path(data_dir or tfds_data_dir()))
    from modelyard.data import embedded_images

    load = {
        "digits": embedded_images.load_digits,
        "photos": embedded_images.load_photos,
    }[card.name]
    return card, {"all": load()}


def _cut_test(examples, fold, class_names):
    """Makes one stratified fifth the test split; the same one for every seed."""
    from sklearn.model_selection import StratifiedKFold  # Slow to import.

    _check_class_sizes(
        examples, FOLDS, class_names, "to cut a test split; or add a `test` folder"
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    train, test = list(folds.split(examples.labels, examples.labels))[fold]
    return {"train": examples.take(train), "test": examples.take(test)}


def _cut_validation(train, share, class_names, rng):
    """Cuts validation from train, at least one example of each class for both."""
    _check_class_sizes(train, 2, class_names, "to cut a validation split")
    held_out = np.zeros(len(train), bool)
    classes = np.unique(train.labels)
    size = min(max(round(share * len(train)), len(classes)), len(train) - len(classes))
    held_out[draw_stratified(train.labels, size, rng)] = True
    return (
        train.take(np.flatnonzero(~held_out)),
        train.take(np.flatnonzero(held_out)),
    )


def _limit(train, most, num_classes, rng):
    """Leaves at most `most` examples, with the classes in proportion."""
    if most is None or most >= len(train):
        return train
    if most < num_classes:
        raise ValueError(
            f"`max_train_examples` must be at least {num_classes}, one for each class. "
            f"Received: max_train_examples={most}"
        )
    return train.take(draw_stratified(train.labels, most, rng))


def _check_class_sizes(examples, least, class_names, purpose):
    """Raises if a class that occurs has too few examples."""
    classes, counts = np.unique(examples.labels, return_counts=True)
    small = [
        f"{class_names[label]!r} ({count})"
        for label, count in zip(classes, counts, strict=True)
        if count < least
    ]
    if small:
        raise DatasetError(
            f"Every class needs at least {least} examples {purpose}. "
            f"Received: {', '.join(small[:20])}"
        )
