import numpy as np

from modelyard.data.texts.examples import TextExamples, number_texts


def make_examples(*texts_and_labels):
    texts, labels = zip(*texts_and_labels, strict=True)
    return TextExamples(np.array(texts, dtype=object), np.array(labels, np.int64))


def test_take_keeps_texts_and_labels_together():
    examples = make_examples(("a", 0), ("b", 1), ("c", 2))
    taken = examples.take(np.array([2, 0]))
    assert len(taken) == 2
    assert taken.texts.tolist() == ["c", "a"]
    assert taken.labels.tolist() == [2, 0]


def test_identical_texts_have_the_same_number():
    texts = np.array(["b", "a", "b ", "b"], dtype=object)
    assert number_texts(texts).tolist() == [0, 1, 2, 0]
