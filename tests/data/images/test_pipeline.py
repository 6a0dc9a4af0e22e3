import numpy as np
import pytest

from modelyard.data.images.augmentation import Augmentation
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)


def numbered(count):
    """Images whose pixels and labels identify the example."""
    images = np.zeros((count, 4, 4, 1), np.uint8)
    images += np.arange(count, dtype=np.uint8)[:, None, None, None]
    return images, np.arange(count)


def batches_of(dataset):
    return [(images.numpy(), labels.numpy()) for images, labels in dataset]


def assert_same(first, second):
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(
        first, second, strict=True
    ):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def test_every_epoch_has_every_example_once_in_a_new_order():
    dataset = make_training_dataset(*numbered(20), batch_size=5, seed=0, epochs=3)
    batches = batches_of(dataset)
    assert len(batches) == 12
    labels = np.concatenate([labels for _, labels in batches]).reshape(3, 20)
    for epoch in labels:
        assert sorted(epoch) == list(range(20))
    assert (labels[0] != labels[1]).any()
    assert (labels[1] != labels[2]).any()


def test_images_and_labels_stay_together():
    dataset = make_training_dataset(*numbered(20), batch_size=6, seed=0, epochs=2)
    for images, labels in batches_of(dataset):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_resumed_stream_is_the_rest_of_the_whole_stream():
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)

    def batches(first_epoch):
        return batches_of(
            make_training_dataset(
                images,
                np.arange(30),
                batch_size=7,
                seed=3,
                epochs=5,
                first_epoch=first_epoch,
                augmentation=Augmentation(2, flip=True, rotate=10, cutout=3),
            )
        )

    whole = batches(0)
    assert_same(batches(2), whole[2 * 4 :])
    assert_same(batches(0), whole)


def test_order_and_augmentation_follow_the_seed():
    first, other = (
        batches_of(make_training_dataset(*numbered(40), batch_size=8, seed=s, epochs=1))
        for s in (0, 1)
    )
    assert any((a[1] != b[1]).any() for a, b in zip(first, other, strict=True))


def test_augmentation_changes_from_epoch_to_epoch():
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1), dtype=np.uint8)
    dataset = make_training_dataset(
        images,
        np.zeros(1, np.int64),
        batch_size=1,
        seed=0,
        epochs=6,
        augmentation=Augmentation(shift=3),
    )
    assert len({images.tobytes() for images, _ in batches_of(dataset)}) > 2


def test_cutout_fills_with_the_mean_colour():
    images = np.zeros((10, 8, 8, 3), np.uint8)
    images[:5] = (10, 20, 30)
    dataset = make_training_dataset(
        images,
        np.zeros(10, np.int64),
        batch_size=10,
        seed=0,
        epochs=1,
        augmentation=Augmentation(cutout=3),
    )
    ((augmented, _),) = batches_of(dataset)
    colours = set(map(tuple, augmented.reshape(-1, 3)))
    assert colours == {(0, 0, 0), (10, 20, 30), (5, 10, 15)}


@pytest.mark.parametrize(
    ("batch_size", "static", "steps"), [(1, 1, 10), (4, 4, 2), (10, 10, 1), (64, 10, 1)]
)
def test_batches_have_one_static_shape(batch_size, static, steps):
    dataset = make_training_dataset(
        *numbered(10), batch_size=batch_size, seed=0, epochs=1
    )
    assert dataset.element_spec[0].shape == (static, 4, 4, 1)
    assert dataset.element_spec[1].shape == (static,)
    assert len(batches_of(dataset)) == steps == steps_per_epoch(10, batch_size)


@pytest.mark.parametrize("batch_size", [1, 4, 10, 64])
def test_evaluation_is_ordered_and_complete(batch_size):
    images, labels = numbered(10)
    batches = batches_of(make_evaluation_dataset(images, labels, batch_size=batch_size))
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), images)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), labels)
    assert max(len(b[1]) for b in batches) == min(batch_size, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, r"`batch_size` must be at least 1.*batch_size=0"),
        ({"first_epoch": 2}, r"`first_epoch` must.*first_epoch=2, epochs=2"),
        ({"epochs": 0}, r"`first_epoch` must.*epochs=0"),
        ({"seed": -1}, r"`seed` must be.*seed=-1"),
        ({"images": np.zeros((4, 4, 4, 1))}, r"`images` must be uint8.*float64"),
        ({"labels": np.zeros(3, np.int64)}, r"`labels` must be int64 \(4,\).*\(3,\)"),
        ({"augmentation": Augmentation(shift=4)}, r"`shift` must be below"),
    ],
)
def test_wrong_argument_is_named(change, message):
    images, labels = numbered(4)
    arguments = {"images": images, "labels": labels, "batch_size": 2, "seed": 0}
    with pytest.raises(ValueError, match=message):
        make_training_dataset(**({**arguments, "epochs": 2} | change))


def test_alternating_flips_show_each_image_both_ways_in_two_epochs():
    images = np.zeros((8, 4, 4, 1), np.uint8)
    images[:, :, 0] = np.arange(1, 9).reshape(8, 1, 1)  # A bright left column.
    dataset = make_training_dataset(
        images,
        np.arange(8),
        batch_size=4,
        seed=3,
        epochs=4,
        augmentation=Augmentation(flip=True, alternate_flip=True),
    )
    sides = [{}, {}, {}, {}]
    for step, (batch, labels) in enumerate(dataset.as_numpy_iterator()):
        for image, label in zip(batch, labels, strict=True):
            sides[step // 2][label] = bool(image[0, 0, 0])
    assert 0 < sum(sides[0].values()) < 8  # Some images start mirrored.
    assert all(sides[0][label] != sides[1][label] for label in range(8))
    assert sides[0] == sides[2]
    assert sides[1] == sides[3]


def test_first_epochs_have_images_of_three_quarters_the_size():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 16, 3), np.uint8)
    dataset = make_training_dataset(
        images, np.arange(6), batch_size=3, seed=0, epochs=3, small_epochs=1
    )
    batches = [batch for batch, _ in dataset.as_numpy_iterator()]
    assert [batch.shape[1:3] for batch in batches] == [(6, 12)] * 2 + [(8, 16)] * 4
    assert {batch.dtype for batch in batches} == {np.dtype("uint8")}
    assert batches[0].mean() == pytest.approx(images.mean(), abs=3)
