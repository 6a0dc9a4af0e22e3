import numpy as np
import pytest
from scipy.spatial.distance import cdist

from modelyard.evaluation.copies import copy_ratios, nearest_images


def _images(n, *, seed=0, size=(6, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, (n, *size)).astype("uint8")


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_nearest_images_are_found(batch):
    samples, training = _images(23, seed=1), _images(40)
    samples[3], samples[20] = training[39], training[7]
    training[30] = training[7]  # The first of equals is wanted.
    indices, distances = nearest_images(samples, training, batch=batch)
    every = cdist(samples.reshape(23, -1), training.reshape(40, -1))
    np.testing.assert_array_equal(indices, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1))
    assert indices.dtype == np.int64
    assert (indices[3], indices[20]) == (39, 7)
    assert distances[3] == distances[20] == 0


def test_one_pixel_tells_images_apart():
    training = np.full((2, 32, 32, 3), 255, "uint8")
    training[0, 0, 0, 0] = 254
    indices, distances = nearest_images(training[1:], training[:1])
    assert (indices[0], distances[0]) == (0, 1)
    assert nearest_images(training[1:], training)[0][0] == 1


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_copies_have_small_ratios(batch):
    # Training images 0, 10, 10 and 40 apart; a repeated one is no neighbour.
    training = np.array([[0], [10], [10], [40]], "uint8")
    samples = np.array([[10], [9], [45], [45], [0], [3]], "uint8")
    ratios = copy_ratios(samples, training, batch=batch)
    np.testing.assert_allclose(ratios, [0, 0.1, 5 / 30, 5 / 30, 0, 0.3])


@pytest.mark.parametrize("function", [nearest_images, copy_ratios])
def test_bad_images_are_named(function):
    images = _images(3)
    with pytest.raises(ValueError, match=r"`samples` .*samples.dtype=float64"):
        function(images / 255, images)
    with pytest.raises(ValueError, match=r"`training` .*training.dtype=int64"):
        function(images, images.astype("int64"))
    with pytest.raises(ValueError, match=r"`training` .*training.shape=\(0, 6, 5, 3\)"):
        function(images, images[:0])
    with pytest.raises(ValueError, match=r"`samples` .*samples.shape=\(3,\)"):
        function(images[:, 0, 0, 0], images)
    with pytest.raises(ValueError, match=r"\(6, 5, 3\)\. .*samples.shape=\(3, 5, 5, 3"):
        function(images[:, 1:], images)
    with pytest.raises(ValueError, match=r"`batch` .*batch=0"):
        function(images, images, batch=0)


def test_equal_training_images_have_no_ratio():
    images = np.repeat(_images(1), 3, axis=0)
    with pytest.raises(ValueError, match=r"two different images\. Received: 3 equal"):
        copy_ratios(images, images)
