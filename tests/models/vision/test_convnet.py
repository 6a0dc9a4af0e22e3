import numpy as np
import pytest

from modelyard.models import build_convnet


def test_widths_are_those_of_the_convolutions():
    model = build_convnet((8, 8, 1), 2, widths=[3, 4, 5])
    kernels = [w.shape for w in model.weights if w.name == "kernel"]
    assert [shape[-1] for shape in kernels] == [3, 4, 5, 128, 2]


def test_smallest_images_are_classified():
    assert build_convnet((8, 8, 1), 10)(np.zeros((2, 8, 8, 1))).shape == (2, 10)


@pytest.mark.parametrize(("side", "head"), [(49, "flatten"), (50, "pool")])
def test_large_maps_are_averaged(side, head):
    model = build_convnet((side, side, 3), 10)
    assert {"flatten", "pool"} & {layer.name for layer in model.layers} == {head}


@pytest.mark.parametrize("shape", [(7, 8, 1), (8, 7, 1)])
def test_too_small_a_side_is_named(shape):
    with pytest.raises(ValueError, match=r"`input_shape` .*at least 8\. .*7"):
        build_convnet(shape, 2)


@pytest.mark.parametrize("widths", [(), (4, 4), (4, 4, 0)])
def test_bad_widths_are_named(widths):
    with pytest.raises(ValueError, match=r"`widths` must be 3 .*widths=\("):
        build_convnet((8, 8, 1), 2, widths=widths)


@pytest.mark.parametrize("stem", ["strided", "pooled"])
def test_both_stems_halve_the_sides_of_large_images(stem):
    model = build_convnet((28, 28, 1), 10, stem=stem)
    assert model.get_layer("conv1").input.shape[1:3] == (13, 13)
    assert model.get_layer("conv0").strides == ((2, 2) if stem == "strided" else (1, 1))


def test_small_images_keep_their_resolution():
    model = build_convnet((8, 8, 1), 10)
    assert model.get_layer("conv1").output.shape[1:3] == (8, 8)


def test_unknown_stem_is_named():
    with pytest.raises(ValueError, match=r"`stem` .*'wide'"):
        build_convnet((8, 8, 1), 2, stem="wide")
