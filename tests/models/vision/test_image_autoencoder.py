"""Tests of the image autoencoder."""

import numpy as np
import pytest

from modelyard.models import build_image_autoencoder


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 13, 3), (28, 28, 1)])
def test_reconstructions_have_the_shape_and_range_of_the_images(shape):
    model = build_image_autoencoder(shape, 5)
    images = np.random.default_rng(0).uniform(0, 255, (2, *shape))
    found = model.predict(images, verbose=0)
    assert found.shape == (2, *shape)
    assert found.dtype == "float32"
    assert found.min() >= 0
    assert found.max() <= 255


def test_every_pixel_passes_through_the_code():
    model = build_image_autoencoder((8, 8, 1), 5)
    code = model.get_layer("code")
    assert code.output.shape == (None, 5)
    code.set_weights([np.zeros_like(weight) for weight in code.get_weights()])
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1))
    first, second = model.predict(images, verbose=0)
    np.testing.assert_array_equal(first, second)


def test_code_without_numbers_is_refused():
    with pytest.raises(ValueError, match=r"code_size.*Received: .*0"):
        build_image_autoencoder((8, 8, 1), 0)
