"""Loads image classification data as train, validation and test splits."""

import dataclasses
from pathlib import Path

import numpy as np

from modelyard.data.cards.card import DatasetCard
from modelyard.data.catalogue import (
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

    Attributes:
        card: Description of the data set.
        spec: Spec string that it was loaded from.
        train: Examples for fitting.
        validation: Examples for model selection, taken from train unless the data set
            has a validation split.
        test: Examples for the final evaluation.
        findings: `test_is_official`, and the counts of `check_splits`.
    """

    card: DatasetCard
    spec: str
    train: Examples
    validation: Examples
    test: Examples
    findings: dict[str, bool | int]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.card.class_names

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.card.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Image shape `(height, width, channels)`."""
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
    """Loads, checks and splits an image data set.

    Args:
        spec: `mnist`, `digits?fold=2`, `folder:PATH?size=96`; see `parse_spec`.
        validation_share: Share of train that becomes validation, in (0, 1);
            stratified.
        seed: Seed of the validation split and of `max_train_examples`. The test split
            does not depend on it.
        max_train_examples: Upper limit on training examples, at least the number of
            classes.
        data_dir: Folder of prepared TensorFlow Datasets; `tfds_data_dir()` if `None`.

    Returns:
        The splits, with the findings of the checks.

    Raises:
        DatasetError: If the spec is wrong, or the data cannot be trained on.
        DatasetUnavailableError: If the data set is not installed and cannot be
            downloaded.
        ValueError: If another argument is out of range.
    """
    check_share(validation_share)
    parsed = parse_spec(spec, content="images")
    card, parts = _load_source(parsed, data_dir)
    official = card.has_official_test
    if not official:
        examples = parts["all"]
        hint = "; or add a `test` folder" if parsed.path else ""
        train_rows, test_rows = cut_test(
            examples.labels, parsed.fold or 0, card.class_names, hint=hint
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
    """Reads the examples of a spec by official split, or all as "all"."""
    if spec.path is not None:
        from modelyard.data.images.folder import load_image_folder

        card, parts = load_image_folder(
            spec.path, size=spec.size, channels=spec.channels
        )
        if spec.fold is not None and card.has_official_test:
            raise DatasetError(
                "`fold` must be omitted if the folder has its own `test`. "
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
