"""Loading of image classification data into train, validation and test."""

import dataclasses
from pathlib import Path

import numpy as np

from modelyard.data.catalogue import (
    DatasetCard,
    DatasetSpec,
    find_card,
    parse_spec,
    tfds_data_dir,
)
from modelyard.data.errors import DatasetError
from modelyard.data.images.checks import check_splits
from modelyard.data.images.examples import Examples
from modelyard.data.splitting import (
    check_share,
    cut_test,
    cut_validation,
    limit_train,
)


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
    check_share(validation_share)
    parsed = parse_spec(spec, content="images")
    card, parts = _load_source(parsed, data_dir)
    official = card.has_official_test
    if not official:
        examples = parts["all"]
        way_out = "; or add a `test` folder" if parsed.path else ""
        train_rows, test_rows = cut_test(
            examples.labels, parsed.fold or 0, card.class_names, way_out=way_out
        )
        parts = {"train": examples.take(train_rows), "test": examples.take(test_rows)}

    rng = np.random.default_rng(seed)
    train = parts["train"]
    validation = parts.get("validation")
    if validation is None:
        kept, held_out = cut_validation(
            train.labels, validation_share, card.class_names, rng
        )
        train, validation = train.take(kept), train.take(held_out)
    if max_train_examples is not None:
        train = train.take(
            limit_train(train.labels, max_train_examples, len(card.class_names), rng)
        )
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
        from modelyard.data.images.folder import load_image_folder

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
        from modelyard.data.images.tfds import load_tfds_images

        return card, load_tfds_images(card, Path(data_dir or tfds_data_dir()))
    from modelyard.data.images import embedded as embedded_images

    load = {
        "digits": embedded_images.load_digits,
        "photos": embedded_images.load_photos,
    }[card.name]
    return card, {"all": load()}
