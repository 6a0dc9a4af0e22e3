import numpy as np
import pytest

from modelyard.models import build_lenet


def test_lenet_has_the_sizes_of_the_paper():
    model = build_lenet((28, 28, 1), 10)
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert shapes["c1"] == (28, 28, 6)
    assert shapes["s2"] == (14, 14, 6)
    assert shapes["c3"] == (10, 10, 16)
    assert shapes["s4"] == (5, 5, 16)
    assert shapes["c5"] == (120,)
    assert shapes["features"] == (84,)
    # The table of connections in the paper gives C3 1,516; all maps give 2,416.
    assert model.get_layer("c3").count_params() == 2416
    assert model.get_layer("c5").count_params() == 48120
    assert model.get_layer("features").count_params() == 10164


@pytest.mark.parametrize(("pooling", "expected"), [("average", 1.5), ("max", 3.0)])
def test_pooling_is_the_named_one(pooling, expected):
    pool = build_lenet((12, 12, 1), 2, pooling=pooling).get_layer("s2")
    window = np.array([0, 1, 2, 3], "float32").reshape(1, 2, 2, 1)
    assert np.ravel(pool(window)) == expected


def test_unknown_pooling_is_named():
    message = r'`pooling` must be one of "average", "max".*pooling=\'avg\''
    with pytest.raises(ValueError, match=message):
        build_lenet((12, 12, 1), 2, pooling="avg")


def test_dropout_follows_both_dense_layers():
    names = [layer.name for layer in build_lenet((12, 12, 1), 2, dropout=0.3).layers]
    assert names[names.index("c5") + 1] == "c5_dropout"
    assert names[names.index("features") + 1] == "features_dropout"


@pytest.mark.parametrize("shape", [(11, 12, 1), (12, 11, 1)])
def test_too_small_a_side_is_named(shape):
    with pytest.raises(ValueError, match=r"`input_shape` .*at least 12\. .*11"):
        build_lenet(shape, 2)
