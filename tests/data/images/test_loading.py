import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from modelyard.data.catalogue import find_card
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.images.loading import load_images


def assert_same(first, second):
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_digits_are_complete_in_stratified_splits():
    splits = load_images("digits")
    assert splits.image_shape == (8, 8, 1)
    assert splits.num_classes == 10
    assert splits.class_names == tuple("0123456789")
    sizes = len(splits.train), len(splits.validation), len(splits.test)
    assert sizes == (1317, 120, 360)
    assert splits.train.images.dtype == np.uint8
    assert splits.train.images.max() == 255
    assert splits.train.labels.dtype == np.int64
    for examples in (splits.train, splits.validation, splits.test):
        counts = np.bincount(examples.labels, minlength=10) / len(examples)
        assert counts.min() > 0.08
        assert counts.max() < 0.12
    assert splits.findings == {
        "test_is_official": False,
        "train_repeats": 0,
        "train_validation_duplicates": 0,
        "train_test_duplicates": 0,
    }


def test_folds_partition_the_examples():
    tests = [load_images(f"digits?fold={fold}").test for fold in range(5)]
    assert sum(map(len, tests)) == 1797
    rows = np.concatenate([examples.images.reshape(-1, 64) for examples in tests])
    assert len(np.unique(rows, axis=0)) == 1797
    assert_same(load_images("digits").test, tests[0])


def test_seed_changes_validation_but_not_test():
    first, same, other = (load_images("digits", seed=seed) for seed in (0, 0, 1))
    assert_same(first.validation, same.validation)
    assert_same(first.train, same.train)
    assert_same(first.test, other.test)
    assert (first.validation.images != other.validation.images).any()


def test_limit_keeps_a_stratified_part_of_train_only():
    whole, part = load_images("digits"), load_images("digits", max_train_examples=100)
    assert np.bincount(part.train.labels).tolist() == [10] * 10
    assert_same(part.validation, whole.validation)
    assert_same(part.test, whole.test)
    assert len(load_images("digits", max_train_examples=9999).train) == 1317


def test_photos_are_disjoint_patches_of_real_photographs():
    splits = load_images("photos")
    assert splits.image_shape == (32, 32, 3)
    total = len(splits.train) + len(splits.validation) + len(splits.test)
    assert total == find_card("photos").splits["all"]
    assert set(splits.test.labels) == set(range(splits.num_classes))
    assert splits.findings["train_test_duplicates"] == 0
    # The retina is red, and the sky behind the rocket is blue.
    means = [
        splits.train.images[splits.train.labels == splits.class_names.index(name)].mean(
            axis=(0, 1, 2)
        )
        for name in ("retina", "rocket")
    ]
    assert means[0].argmax() == 0
    assert means[1].argmax() == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_share": 0}, r"`validation_share` must.*validation_share=0"),
        ({"validation_share": 1.0}, r"`validation_share` must.*=1.0"),
        ({"max_train_examples": 9}, r"at least 10.*max_train_examples=9"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_images("digits", **arguments)


def test_failed_download_names_the_alternatives(monkeypatch, tmp_path):
    def fail(url, **_):
        raise requests.ConnectionError(f"no route to {url}")

    monkeypatch.setattr(requests, "head", fail)
    with pytest.raises(DatasetUnavailableError) as caught:
        load_images("fashion_mnist", data_dir=tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "fashion_mnist") in message
    assert find_card("fashion_mnist").download_url in message
    assert "ConnectionError: no route" in message
    assert "'digits'" in message
    assert "'photos'" in message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def pretend_present(monkeypatch):
    """Makes TFDS treat mock data as prepared."""
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda _: True)


@pytest.mark.parametrize(
    ("name", "shape", "num_classes"),
    [
        ("fashion_mnist", (28, 28, 1), 10),
        ("kmnist", (28, 28, 1), 10),
        ("cifar100", (32, 32, 3), 100),
    ],
)
def test_tfds_data_become_arrays(pretend_present, name, shape, num_classes):
    del pretend_present
    with tfds.testing.mock_data(num_examples=12 * num_classes):
        splits = load_images(name)
    assert splits.image_shape == shape == splits.card.example_shape
    assert splits.num_classes == num_classes
    assert len(splits.test) == 12 * num_classes
    assert len(splits.train) + len(splits.validation) == 12 * num_classes
    assert splits.test.labels.dtype == np.int64
    assert splits.findings["test_is_official"]


def test_letters_are_labelled_from_zero_and_upright(pretend_present):
    del pretend_present

    def generate():
        for index in range(26 * 4):
            image = np.full((28, 28, 1), index, np.uint8)
            image[0, :14] = 255  # Half of the first row in the transposed files.
            yield {"image": image, "label": 1 + index % 26}

    def as_dataset(*_, **__):
        return tf.data.Dataset.from_generator(
            generate,
            output_signature={
                "image": tf.TensorSpec((28, 28, 1), tf.uint8),
                "label": tf.TensorSpec((), tf.int64),
            },
        )

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        splits = load_images("emnist/letters")
    assert splits.class_names[splits.test.labels[0]] == "a"
    assert splits.class_names[splits.test.labels[25]] == "z"
    assert (splits.test.images[0, :14, 0] == 255).all()
    assert (splits.test.images[0, 0, 1:] == 0).all()


def test_labels_outside_the_card_are_refused(pretend_present):
    del pretend_present
    with (
        tfds.testing.mock_data(num_examples=400),  # Random labels from 0 to 36.
        pytest.raises(DatasetError, match=r"must be in \[0, 26\)"),
    ):
        load_images("emnist/letters")


def test_cards_agree_with_tfds():
    for name in ("mnist", "fashion_mnist", "kmnist", "emnist/letters", "cifar100"):
        card = find_card(name)
        builder = tfds.builder(card.tfds_name, data_dir="does-not-exist")
        assert builder.info.features["image"].shape == card.example_shape
        names = builder.info.features["label"].names
        if not names[0].isdigit():
            assert tuple(names) == card.class_names


def test_network_probe_has_a_timeout(monkeypatch, tmp_path):
    timeouts = []

    def record(url, *, timeout):
        timeouts.append(timeout)
        raise requests.Timeout(url)

    monkeypatch.setattr(requests, "head", record)
    with pytest.raises(DatasetUnavailableError, match="Timeout"):
        load_images("kmnist", data_dir=tmp_path)
    assert timeouts[0] <= 10


@pytest.mark.parametrize("spec", ["imdb_reviews", "reviews", "csv:a.csv?text=b"])
def test_text_data_is_refused_with_the_right_pipeline(spec):
    with pytest.raises(DatasetError, match=r"holds texts, not images: use classify-t"):
        load_images(spec)


@pytest.fixture(scope="module")
def mnist():
    return load_images("mnist")


@pytest.fixture(scope="module")
def cifar10():
    return load_images("cifar10", validation_share=0.1)


MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.slow
@pytest.mark.real_data("mnist")
def test_real_mnist_is_complete(mnist):
    assert mnist.train.images.shape == (55_000, 28, 28, 1)
    assert mnist.validation.images.shape == (5_000, 28, 28, 1)
    assert mnist.test.images.shape == (10_000, 28, 28, 1)
    assert mnist.train.images.dtype == np.uint8
    assert mnist.train.labels.dtype == np.int64
    labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    assert np.bincount(labels).tolist() == MNIST_TRAIN
    assert np.bincount(mnist.test.labels).tolist() == MNIST_TEST


@pytest.mark.slow
@pytest.mark.real_data("mnist")
def test_real_mnist_is_split_by_class(mnist):
    np.testing.assert_allclose(
        np.bincount(mnist.validation.labels), np.array(MNIST_TRAIN) / 12, atol=1
    )
    assert mnist.findings["train_test_duplicates"] == 0


@pytest.mark.slow
@pytest.mark.real_data("mnist")
def test_real_mnist_has_the_published_mean(mnist):
    mean = np.concatenate([mnist.train.images, mnist.validation.images]).mean()
    assert abs(mean / 255 - 0.1307) < 1e-4


@pytest.mark.slow
@pytest.mark.real_data("cifar10")
def test_real_cifar10_is_complete_in_stratified_splits(cifar10):
    assert cifar10.train.images.shape == (45_000, 32, 32, 3)
    assert cifar10.image_shape == (32, 32, 3)
    assert np.bincount(cifar10.train.labels).tolist() == [4_500] * 10
    assert np.bincount(cifar10.validation.labels).tolist() == [500] * 10
    assert np.bincount(cifar10.test.labels).tolist() == [1_000] * 10
    assert cifar10.class_names[2] == "bird"


@pytest.mark.slow
@pytest.mark.real_data("cifar10")
def test_real_cifar10_has_the_published_mean(cifar10):
    mean = cifar10.train.images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, (0.4914, 0.4822, 0.4465), atol=2e-3)
