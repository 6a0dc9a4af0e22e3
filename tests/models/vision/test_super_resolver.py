"""Tests of the network that enlarges pictures."""

import numpy as np
import pytest

from modelyard.models import BicubicUpscaling, build_super_resolver


def noise(height, width, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (2, height, width, channels)).astype("float32")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_untrained_network_is_the_bicubic_enlargement(scale):
    model = build_super_resolver(scale, 3, blocks=1, width=4)
    for height, width in ((1, 1), (5, 7), (8, 9)):
        pixels = noise(height, width)
        answer = model(pixels)
        assert answer.dtype == "float32"
        assert answer.shape == (2, scale * height, scale * width, 3)
        expected = BicubicUpscaling(scale)(pixels)
        np.testing.assert_allclose(answer, expected, atol=2e-3)


@pytest.mark.usefixtures("mixed_bfloat16")
def test_enlargement_is_exact_under_mixed_bfloat16():
    model = build_super_resolver(2, 1, blocks=1, width=4)
    pixels = noise(5, 7, 1)
    expected = BicubicUpscaling(2, dtype="float32")(pixels)
    np.testing.assert_allclose(model(pixels), expected, atol=2e-3)


def test_detail_is_equal_in_all_channels(shared):
    pixels = noise(6, 5)
    detail = shared("super_resolver")(pixels) - BicubicUpscaling(3)(pixels)
    assert np.ptp(detail) > 10
    grey = np.broadcast_to(detail[..., :1], detail.shape)
    np.testing.assert_allclose(detail, grey, atol=5e-3)


def test_each_pixel_gets_a_block_of_subpixels():
    model = build_super_resolver(2, 1, blocks=1, width=4)
    layer = model.get_layer("subpixels")
    kernel, _ = layer.get_weights()
    assert kernel.shape[-1] == 4
    layer.set_weights([np.zeros_like(kernel), np.array([1, 2, 3, 4]) / 255])
    answer = model(np.zeros((1, 2, 3, 1), "float32"))
    expected = np.tile([[1, 2], [3, 4]], (2, 3))
    np.testing.assert_allclose(answer[0, ..., 0], expected, rtol=1e-5)


def test_number_of_blocks_is_that_of_the_argument():
    names = {layer.name for layer in build_super_resolver(2, 3, blocks=3).layers}
    assert [f"block{i}_add" in names for i in range(4)] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 1}, r"`scale` must be an integer from 2 to 4.*scale=1"),
        ({"scale": 5}, r"`scale` must be an integer from 2 to 4.*scale=5"),
        ({"channels": 0}, r"`channels` .*at least 1.*channels=0"),
        ({"blocks": 0}, r"`blocks` .*at least 1.*blocks=0"),
        ({"width": 0}, r"`width` .*at least 1.*width=0"),
    ],
)
def test_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_super_resolver(**{"scale": 2, "channels": 3, **options})
