"""Checks of text splits before training."""

import numpy as np

from modelyard.data.texts.examples import TextExamples, number_texts


def check_texts(train: TextExamples, test: TextExamples) -> dict[str, int]:
    """Counts duplicate, empty and contradictory examples.

    Args:
        train: Training examples, including validation.
        test: Test examples.

    Returns:
        Counts: `train_test_duplicates`, distinct texts that are in both splits;
        `train_repeats` and `test_repeats`, exact duplicates of earlier texts of the
        same split; `empty_texts`, texts of only white space; `conflicting_texts`,
        distinct texts with more than one label.
    """
    texts = np.concatenate([train.texts, test.texts])
    numbers = number_texts(texts)
    in_train, in_test = (
        np.unique(part) for part in np.split(numbers, [len(train.texts)])
    )
    labels = np.concatenate([train.labels, test.labels])
    number_and_label = np.unique(np.stack([numbers, labels]), axis=1)
    return {
        "train_test_duplicates": len(np.intersect1d(in_train, in_test)),
        "train_repeats": len(train) - len(in_train),
        "test_repeats": len(test) - len(in_test),
        "empty_texts": sum(not text.strip() for text in texts),
        "conflicting_texts": int((np.bincount(number_and_label[0]) > 1).sum()),
    }
