"""Loads the SavedModels of the tests, none of which records its kind of answer."""

import pytest

from modelyard.serving.predict.predictor import load_predictor


@pytest.fixture(scope="session")
def load(saved_models):
    """Loads a SavedModel once a session, as an export of one kind."""
    loaded = {}

    def load_once(name, kind):
        if (name, kind) not in loaded:
            loaded[name, kind] = load_predictor(saved_models / name, kind)
        return loaded[name, kind]

    yield load_once
    for predictor in loaded.values():
        predictor.__exit__()


@pytest.fixture(scope="session")
def image(saved_models):
    """An image file of 2 x 2 pixels."""
    return saved_models / "image.png"


@pytest.fixture(scope="session")
def images(saved_models):
    """An array file with two images of 2 x 2 pixels; the second is `image`."""
    return saved_models / "images.npy"
