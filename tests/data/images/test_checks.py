import numpy as np
import pytest

from modelyard.data.errors import DatasetError
from modelyard.data.images.checks import check_splits


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    images = {
        split: rng.integers(0, 256, (8, 4, 4, 1), dtype=np.uint8)
        for split in ("train", "validation", "test")
    }
    labels = {split: np.arange(8) % 2 for split in images}
    return images, labels


def test_splits_without_duplicates_have_zero_counts(splits):
    assert check_splits(*splits, ("a", "b")) == {
        "train_repeats": 0,
        "train_validation_duplicates": 0,
        "train_test_duplicates": 0,
    }


def test_repeats_and_duplicates_are_counted(splits):
    images, labels = splits
    images["train"][1] = images["train"][2] = images["train"][0]
    images["validation"][5] = images["train"][7]
    images["test"][:3] = images["train"][6]
    assert check_splits(images, labels, ("a", "b")) == {
        "train_repeats": 2,
        "train_validation_duplicates": 1,
        "train_test_duplicates": 3,
    }


def test_class_without_training_examples_is_named(splits):
    with pytest.raises(DatasetError, match=r"1 class.* 0 of them in the test.*'c'"):
        check_splits(*splits, ("a", "b", "c"))
    splits[1]["test"][0] = 2
    with pytest.raises(DatasetError, match=r"1 class.* 1 of them in the test.*'c'"):
        check_splits(*splits, ("a", "b", "c"))


@pytest.mark.parametrize("label", [-1, 2])
def test_label_out_of_range_is_named(splits, label):
    splits[1]["test"][3] = label
    with pytest.raises(
        DatasetError, match=r"test split must be in \[0, 2\).*-?\d to \d"
    ):
        check_splits(*splits, ("a", "b"))


def test_empty_split_is_named(splits):
    images, labels = splits
    images["validation"], labels["validation"] = images["test"][:0], labels["test"][:0]
    with pytest.raises(DatasetError, match="validation split is empty"):
        check_splits(images, labels, ("a", "b"))
