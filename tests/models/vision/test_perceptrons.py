import numpy as np
import pytest

from modelyard.models import build_mlp, build_perceptron


def test_perceptron_has_one_layer_of_weights():
    model = build_perceptron((4, 5, 3), 7)
    assert [w.shape for w in model.weights] == [(60, 7), (7,)]


def test_perceptron_features_are_the_scaled_pixels():
    model = build_perceptron((2, 1, 1), 2)
    model.get_layer("logits").set_weights([np.eye(2), np.array([0.0, 5.0])])
    pixels = np.array([[[[0]], [[51]]]], "uint8")
    np.testing.assert_allclose(model(pixels), [[0, 5.2]], atol=1e-6)


def test_mlp_has_a_layer_for_each_of_the_hidden_units():
    model = build_mlp((2, 2, 1), 3, hidden_units=[7, 6, 5])
    kernels = [w.shape for w in model.weights if w.name == "kernel"]
    assert kernels == [(4, 7), (7, 6), (6, 5), (5, 3)]


@pytest.mark.parametrize("hidden_units", [(), (4, 0), (4, 2.5)])
def test_bad_hidden_units_are_named(hidden_units):
    with pytest.raises(ValueError, match=r"`hidden_units` must .*hidden_units=\("):
        build_mlp((2, 2, 1), 3, hidden_units=hidden_units)
