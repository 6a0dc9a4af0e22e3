import keras
import numpy as np
import pytest

from modelyard.models import build_residual_cnn


def test_defaults_are_resnet20():
    model = build_residual_cnn((32, 32, 3), 10)
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and "shortcut" not in layer.name
    ]
    assert len(convolutions) + 1 == 20
    # The paper counts 0.27 million.
    assert round(model.count_params() / 1e6, 2) == 0.27


def test_each_stage_after_the_first_halves_the_sides():
    model = build_residual_cnn((9, 8, 1), 2, blocks_per_stage=2, widths=[3, 4, 5])
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert shapes["stage0_block1_add"] == (9, 8, 3)
    assert shapes["stage1_block1_add"] == (5, 4, 4)
    assert shapes["stage2_block1_add"] == (3, 2, 5)


def test_a_block_adds_to_its_input():
    model = build_residual_cnn((4, 4, 1), 2, blocks_per_stage=1, widths=(3,))
    model.get_layer("stage0_block0_conv1").kernel.assign(np.zeros((3, 3, 3, 3)))
    outputs = [model.get_layer(n).output for n in ("stem", "stage0_block0_add")]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1), "uint8")
    stem, block = keras.Model(model.input, outputs)(pixels)
    assert np.any(stem)
    np.testing.assert_array_equal(stem, block)


def test_too_small_a_side_is_named():
    with pytest.raises(ValueError, match=r"`input_shape` .*at least 4\. .*\(3, 8, 1\)"):
        build_residual_cnn((3, 8, 1), 2)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match=r"`widths` must .*widths=\(\)"):
        build_residual_cnn((8, 8, 1), 2, widths=())
    with pytest.raises(ValueError, match=r"`blocks_per_stage` must .*=\(0,\)"):
        build_residual_cnn((8, 8, 1), 2, blocks_per_stage=0)
