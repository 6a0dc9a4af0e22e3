import dataclasses

import numpy as np
import pytest

from modelyard.data.catalogue import find_card
from modelyard.data.class_counts import count_classes
from modelyard.data.images.examples import Examples
from modelyard.data.images.loading import ImageSplits
from modelyard.data.texts.examples import TextExamples
from modelyard.data.texts.loading import TextSplits

LABELS = {"train": [0, 0, 2, 1], "validation": [1], "test": [0, 0]}


def image_splits(card):
    parts = {
        name: Examples(np.zeros((len(labels), 2, 2, 1), np.uint8), np.array(labels))
        for name, labels in LABELS.items()
    }
    return ImageSplits(card, "digits", **parts, findings={})


def text_splits(card):
    parts = {
        name: TextExamples(np.array(["x"] * len(labels), object), np.array(labels))
        for name, labels in LABELS.items()
    }
    nothing = np.array([], object)
    return TextSplits(card, "reviews", **parts, unlabelled=nothing, findings={})


@pytest.mark.parametrize("make_splits", [image_splits, text_splits])
def test_examples_of_each_class_and_split_are_counted(make_splits):
    names = ("red", "green", "blue", "absent")
    card = dataclasses.replace(find_card("digits"), class_names=names)
    table = count_classes(make_splits(card))
    assert list(table.columns) == ["train", "validation", "test"]
    assert list(table.index) == list(names)
    assert table.to_numpy().tolist() == [[2, 0, 2], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
