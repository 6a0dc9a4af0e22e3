"""Tests of the principal components as a Keras model."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from modelyard.models import build_principal_components, fit_principal_components


@pytest.fixture(scope="module")
def images():
    return (load_digits().images[:300, ..., None] * 255 / 16).astype("float32")


def test_reconstructions_are_those_of_scikit_learn(images):
    model = build_principal_components((8, 8, 1), 10)
    fit_principal_components(model, images[:200])
    unseen = images[200:]
    peer = PCA(10, random_state=0).fit(images[:200].reshape(200, -1))
    values = unseen.reshape(100, -1)
    expected = peer.inverse_transform(peer.transform(values)).clip(0, 255)
    found = model.predict(unseen, verbose=0).reshape(100, -1)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_codes_as_long_as_the_images_lose_nothing(images):
    model = build_principal_components((8, 8, 1), 64)
    fit_principal_components(model, images)
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, images, atol=0.05)


def test_fewer_images_than_numbers_of_a_code_are_refused(images):
    model = build_principal_components((8, 8, 1), 10)
    with pytest.raises(ValueError, match=r"`images` must be at least 10.*9 images"):
        fit_principal_components(model, images[:9])


def test_codes_longer_than_the_images_are_refused():
    with pytest.raises(ValueError, match=r"code_size.*Received: .*65"):
        build_principal_components((8, 8, 1), 65)
