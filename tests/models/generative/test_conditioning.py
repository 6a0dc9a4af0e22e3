"""Tests of the modulation by a condition."""

import keras
import numpy as np

from modelyard.models.generative.conditioning import modulate


def build():
    maps, condition = keras.Input((2, 3, 4)), keras.Input((5,))
    outputs = modulate(maps, condition, name="mine")
    return keras.Model([maps, condition], outputs)


def batch():
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype("float32") for s in ((6, 2, 3, 4), (6, 5))]


def test_each_channel_is_scaled_and_shifted():
    model, (maps, condition) = build(), batch()
    scale, shift = (
        keras.ops.convert_to_numpy(model.get_layer(f"mine_{name}")(condition))
        for name in ("scale", "shift")
    )
    expected = maps * scale[:, None, None] + shift[:, None, None]
    assert np.abs(expected - maps).max() > 0.1
    np.testing.assert_allclose(model([maps, condition]), expected, atol=1e-5)


def test_condition_of_zeros_changes_nothing_at_first():
    model, (maps, condition) = build(), batch()
    np.testing.assert_allclose(model([maps, 0 * condition]), maps, atol=1e-6)
