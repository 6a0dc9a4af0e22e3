import keras
import numpy as np
import pytest

from modelyard.models.vision.wide_resnet import build_wide_resnet


@pytest.mark.parametrize(
    # Sizes in the paper's table of CIFAR results.
    ("depth", "width", "millions"),
    [(16, 4, 2.7), (40, 2, 2.2), (16, 8, 11.0)],
)
def test_size_is_that_of_the_paper(depth, width, millions):
    model = build_wide_resnet(
        (32, 32, 3), 10, depth=depth, width=width, initializer="zeros"
    )
    trainable = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert trainable / 1e6 == pytest.approx(millions, abs=0.05)
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    last = (depth - 4) // 6 - 1
    assert shapes["stem"] == (32, 32, 16)
    assert shapes[f"stage0_block{last}_add"] == (32, 32, 16 * width)
    assert shapes[f"stage1_block{last}_add"] == (16, 16, 32 * width)
    assert shapes[f"stage2_block{last}_add"] == (8, 8, 64 * width)
    assert shapes["features"] == (64 * width,)


def test_dropout_is_between_the_convolutions_of_each_block():
    model = build_wide_resnet((8, 8, 1), 3, depth=10, width=1, dropout=0.3)
    names = [layer.name for layer in model.layers]
    dropped = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert [x.name for x in dropped] == [f"stage{i}_block0_dropout" for i in range(3)]
    assert all(layer.rate == 0.3 for layer in dropped)
    assert names.index("stage1_block0_conv0") < names.index("stage1_block0_dropout")
    assert names.index("stage1_block0_dropout") < names.index("stage1_block0_conv1")


def test_it_trains_and_reloads(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_wide_resnet((8, 8, 1), 2, depth=10, width=1, dropout=0.1)
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    # Dark and bright images.
    pixels = rng.integers(0, 128, (32, 8, 8, 1)) + 127 * labels[:, None, None, None]
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # Eight small steps take less time than their graph.
    )
    history = model.fit(pixels, labels, epochs=8, batch_size=32, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded(pixels), model(pixels))


@pytest.mark.parametrize("depth", [4, 9, 29, 28.0])
def test_bad_depth_is_named(depth):
    with pytest.raises(ValueError, match=rf"`depth` must .*Received: depth={depth}"):
        build_wide_resnet((32, 32, 3), 10, depth=depth)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match=r"`width` must .*width=\(0,\)"):
        build_wide_resnet((32, 32, 3), 10, width=0)
    with pytest.raises(ValueError, match=r"at least 4\. .*input_shape=\(3, 8, 1\)"):
        build_wide_resnet((3, 8, 1), 10)
