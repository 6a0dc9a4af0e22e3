import numpy as np

from modelyard.data.texts.checks import check_texts
from modelyard.data.texts.examples import TextExamples


def make_examples(*texts_and_labels):
    texts, labels = zip(*texts_and_labels, strict=True)
    return TextExamples(np.array(texts, dtype=object), np.array(labels, np.int64))


def test_duplicates_empty_texts_and_conflicts_are_counted():
    train = make_examples(("a", 0), ("a", 0), ("a", 1), ("b", 1), (" \n", 0))
    test = make_examples(("b", 0), ("b", 0), ("c", 1), ("a", 0))
    assert check_texts(train, test) == {
        "train_test_duplicates": 2,
        "train_repeats": 2,
        "test_repeats": 1,
        "empty_texts": 1,
        "conflicting_texts": 2,
    }
    assert set(check_texts(train.take(np.array([3])), test.take([2])).values()) == {0}
