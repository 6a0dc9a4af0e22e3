import keras
import numpy as np
import pytest

from modelyard.models import build_fast_cifar_net, whiten_patches

WIDTHS = (8, 9, 10)


@pytest.fixture
def photographs():
    """Smooth random images: neighbouring pixels are similar, as in photographs."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 24, 24, 3)).cumsum(1).cumsum(2)
    return np.clip(noise * 4 + 100, 0, 255).astype("uint8")


def test_layout_is_that_of_the_paper():
    model = build_fast_cifar_net((32, 32, 3), 10)
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert [tuple(w.shape) for w in kernels] == [
        (3, 3, 24, 64),
        (3, 3, 64, 64),
        (3, 3, 64, 256),
        *[(3, 3, 256, 256)] * 3,
        (256, 10),
    ]
    assert model.get_layer("block2_activation1").output.shape[1:] == (3, 3, 256)
    assert not any(w.name == "gamma" for w in model.weights)


def test_any_size_of_image_has_the_same_weights():
    free = build_fast_cifar_net((None, None, 3), 4, widths=WIDTHS)
    fixed = build_fast_cifar_net((16, 20, 3), 4, widths=WIDTHS)
    fixed.set_weights(free.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3), "uint8")
    np.testing.assert_array_equal(free(pixels), fixed(pixels))
    assert free(pixels[:, :9, :9]).shape == (2, 4)


def test_whitened_patches_are_uncorrelated(photographs):
    model = build_fast_cifar_net((24, 24, 3), 4, widths=WIDTHS)
    whiten_patches(model, photographs)
    outputs = keras.Model(model.input, model.get_layer("whiten").output)(photographs)
    outputs = keras.ops.convert_to_numpy(outputs)
    first, negatives = outputs[..., :12].reshape(-1, 12), outputs[..., 12:]
    np.testing.assert_allclose(negatives.reshape(-1, 12), -first, atol=1e-3)
    moments = first.T @ first / len(first)
    # A component of variance v ends with v / (v + 5e-4): at most one.
    assert np.abs(moments - np.diag(np.diag(moments))).max() < 0.02
    assert 0.9 < np.diag(moments).max() < 1.02


def test_the_whitening_does_not_train():
    layer = build_fast_cifar_net((16, 16, 3), 4).get_layer("whiten")
    assert not layer.trainable_weights
    assert {w.name for w in layer.non_trainable_weights} == {"kernel", "bias"}


def test_convolutions_start_by_passing_their_channels_on():
    model = build_fast_cifar_net((16, 16, 3), 4, widths=(30, 31, 20))
    kernel = model.get_layer("block1_conv0").get_weights()[0]
    features = np.random.default_rng(0).normal(size=(1, 5, 5, 30)).astype("float32")
    passed = keras.ops.conv(features, kernel, padding="same")[..., :30]
    np.testing.assert_allclose(passed, features, atol=1e-6)
    assert np.abs(kernel[..., 30]).min() > 0  # The one filter left is random.
    narrower = model.get_layer("block2_conv0").get_weights()[0]
    np.testing.assert_array_equal(narrower[1, 1, :20], np.eye(20))


def test_whitened_model_reloads_with_the_same_answers(tmp_path, photographs):
    model = build_fast_cifar_net((24, 24, 3), 4, widths=WIDTHS)
    whiten_patches(model, photographs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(photographs[:3]), model(photographs[:3]))


def test_grey_images_are_whitened_too(photographs):
    model = build_fast_cifar_net((24, 24, 1), 4, widths=WIDTHS)
    whiten_patches(model, photographs[..., :1])
    assert np.isfinite(model(photographs[:2, ..., :1])).all()


def test_images_of_other_channels_are_refused(photographs):
    model = build_fast_cifar_net((24, 24, 1), 4, widths=WIDTHS)
    with pytest.raises(ValueError, match=r"`images` must be .*1\)\. .*24, 3\)"):
        whiten_patches(model, photographs)


def test_too_small_a_side_is_named():
    with pytest.raises(ValueError, match=r"`input_shape` .*at least 9.*\(8, 12, 3\)"):
        build_fast_cifar_net((8, 12, 3), 2)
