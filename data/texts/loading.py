"""Loads text classification data as train, validation and test splits."""

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
from modelyard.data.label_checks import check_labels
from modelyard.data.splitting import (
    check_share,
    cut_test,
    cut_validation,
    limit_train,
)
from modelyard.data.texts.checks import check_texts
from modelyard.data.texts.examples import TextExamples, number_texts

_UNLABELLED = "unsupervised"


@dataclasses.dataclass(frozen=True)
class TextSplits:
    """A text classification data set, ready for training.

    Attributes:
        card: Description of the data set.
        spec: Spec string that it was loaded from.
        train: Examples for fitting.
        validation: Examples for model selection, taken from train.
        test: Examples for the final evaluation.
        unlabelled: `str` objects `(m,)` for pretraining; empty unless requested.
        findings: `test_is_official`; the counts of `check_texts` on the original
            data; and `train_dropped` and `unlabelled_dropped`, the numbers of texts
            dropped because they are also in test.
    """

    card: DatasetCard
    spec: str
    train: TextExamples
    validation: TextExamples
    test: TextExamples
    unlabelled: np.ndarray
    findings: dict[str, bool | int]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.card.class_names

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.card.class_names)


def load_texts(
    spec: str,
    *,
    validation_share: float = 0.1,
    seed: int = 0,
    max_train_examples: int | None = None,
    drop_test_texts: bool = True,
    with_unlabelled: bool = False,
    data_dir: Path | None = None,
) -> TextSplits:
    """Loads, checks and splits a text data set.

    Examples with identical texts are always put in the same split, except by an
    official split.

    Args:
        spec: `imdb_reviews`, `reviews?fold=2`, `csv:PATH?text=COLUMN&label=COLUMN`;
            see `parse_spec`.
        validation_share: Share of train that becomes validation, in (0, 1);
            stratified.
        seed: Seed of the validation split and of `max_train_examples`. The test split
            does not depend on it.
        max_train_examples: Upper limit on training examples, at least the number of
            classes.
        drop_test_texts: Whether to drop texts that are also in test from train and
            from the unlabelled texts.
        with_unlabelled: Whether to read the unlabelled texts, if there are any.
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
    parsed = parse_spec(spec, content="texts")
    card, parts = _load_source(parsed, data_dir, with_unlabelled=with_unlabelled)
    if not card.has_official_test:
        parts |= _cut_test(parts["all"], parsed.fold or 0, card.class_names)
    train, test = parts["train"], parts["test"]
    unlabelled = parts[_UNLABELLED].texts if _UNLABELLED in parts else test.texts[:0]
    findings = {"test_is_official": card.has_official_test, **check_texts(train, test)}
    unwanted = set(test.texts) if drop_test_texts else set()
    kept = _find_others(train.texts, unwanted)
    findings["train_dropped"] = len(train) - len(kept)
    train = train.take(kept)
    kept = _find_others(unlabelled, unwanted)
    findings["unlabelled_dropped"] = len(unlabelled) - len(kept)
    unlabelled = unlabelled[kept]

    rng = np.random.default_rng(seed)
    train, validation = _cut_validation(train, validation_share, card.class_names, rng)
    if max_train_examples is not None:
        train = train.take(
            limit_train(train.labels, max_train_examples, len(card.class_names), rng)
        )
    splits = {"train": train, "validation": validation, "test": test}
    check_labels({name: part.labels for name, part in splits.items()}, card.class_names)
    return TextSplits(card, spec, **splits, unlabelled=unlabelled, findings=findings)


def _load_source(
    spec: DatasetSpec, data_dir: Path | None, *, with_unlabelled: bool
) -> tuple[DatasetCard, dict[str, TextExamples]]:
    """Reads the examples of a spec by official split, or all as "all"."""
    if spec.path is not None:
        from modelyard.data.texts.files import load_text_file

        card, examples = load_text_file(
            spec.path, text=spec.text or "text", label=spec.label or "label"
        )
        return card, {"all": examples}
    card = find_card(spec.name)
    if card.source == "tfds":
        from modelyard.data.texts.tfds import load_tfds_texts

        splits = [s for s in card.splits if s != _UNLABELLED or with_unlabelled]
        folder = Path(data_dir or tfds_data_dir())
        return card, load_tfds_texts(card, folder, splits=splits)
    from modelyard.data.texts.embedded import load_reviews

    return card, {"all": load_reviews()}


def _cut_test(examples, fold, class_names):
    """Uses a fifth of the distinct texts as the test split."""
    numbers = number_texts(examples.texts)
    _, test = cut_test(_labels_by_number(examples, numbers), fold, class_names)
    in_test = np.isin(numbers, test)
    return {
        "train": examples.take(np.flatnonzero(~in_test)),
        "test": examples.take(np.flatnonzero(in_test)),
    }


def _cut_validation(train, share, class_names, rng):
    """Splits a share of the distinct texts from train."""
    numbers = number_texts(train.texts)
    labels = _labels_by_number(train, numbers)
    _, validation = cut_validation(labels, share, class_names, rng)
    held_out = np.isin(numbers, validation)
    return (
        train.take(np.flatnonzero(~held_out)),
        train.take(np.flatnonzero(held_out)),
    )


def _labels_by_number(examples, numbers):
    """Returns the label of the first occurrence of each distinct text."""
    return examples.labels[np.unique(numbers, return_index=True)[1]]


def _find_others(texts, unwanted):
    """Returns the indices of texts that are not in `unwanted`."""
    return np.flatnonzero([text not in unwanted for text in texts])
