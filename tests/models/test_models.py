"""What holds for every builder of image classifiers."""

import keras
import numpy as np
import pytest

from modelyard.models import BUILDERS

SHAPE = (12, 12, 1)
# The large families at their smallest.
SMALL: dict[str, dict] = {
    "residual_cnn": {"blocks_per_stage": 1, "widths": (4, 6)},
    "wide_resnet": {"depth": 10, "width": 1},
    "fast_cifar_net": {"widths": (4, 5, 6)},
}
FEATURES = {
    "perceptron": 144,
    "mlp": 512,
    "lenet": 84,
    "convnet": 128,
    "residual_cnn": 6,
    "wide_resnet": 64,
    "fast_cifar_net": 6,
}
all_families = pytest.mark.parametrize("family", BUILDERS)
hidden_families = pytest.mark.parametrize(
    "family", sorted(BUILDERS.keys() - {"perceptron"})
)

# The fast CIFAR network has its own initializers and no L2 penalty.
plain_families = pytest.mark.parametrize(
    "family", sorted(BUILDERS.keys() - {"fast_cifar_net"})
)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, *SHAPE), "uint8")


def _build(family, shape=SHAPE, num_classes=3, **options):
    return BUILDERS[family](shape, num_classes, **SMALL.get(family, {}), **options)


def _features(model):
    """Returns a model that outputs the features."""
    return keras.Model(model.input, model.get_layer("features").output)


@all_families
@pytest.mark.parametrize("shape", [(12, 12, 1), (28, 28, 1), (32, 32, 3), (45, 50, 2)])
def test_model_maps_pixels_to_logits(family, shape):
    model = _build(family, shape, 7)
    assert model.name == family
    assert model.inputs[0].name == "pixels"
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 7)
    assert model.layers[-1].name == "logits"
    assert not model.compiled
    assert model(np.zeros((2, *shape), "uint8")).shape == (2, 7)


@all_families
def test_name_is_that_of_the_argument(family):
    assert _build(family, name="mine").name == "mine"


@all_families
def test_logits_are_computed_from_the_features(family, pixels):
    model = _build(family)
    features = keras.ops.convert_to_numpy(_features(model)(pixels))
    assert features.shape == (5, FEATURES[family])
    kernel, *bias = model.get_layer("logits").get_weights()
    expected = features @ kernel + sum(bias)
    np.testing.assert_allclose(model(pixels), expected, atol=1e-4)


@all_families
@pytest.mark.usefixtures("mixed_bfloat16")
def test_logits_are_float32_under_mixed_bfloat16(family, pixels):
    model = _build(family)
    assert keras.backend.standardize_dtype(model(pixels).dtype) == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
    features = _features(model)(pixels)
    assert keras.backend.standardize_dtype(features.dtype) == "bfloat16"


@all_families
def test_pixels_are_scaled_inside(family, pixels):
    model = _build(family)
    scaled = keras.Model(model.input, model.get_layer("rescale").output)
    assert model.layers[1].name == "rescale"
    low, high = (-0.1, 1.175) if family == "lenet" else (0.0, 1.0)
    expected = low + (high - low) * (pixels / 255)
    np.testing.assert_allclose(scaled(pixels), expected, atol=1e-6)


@all_families
def test_pixel_dtype_does_not_matter(family, pixels):
    model = _build(family)
    expected = model(pixels.astype("float32"))
    np.testing.assert_allclose(model(pixels), expected, atol=1e-6)


@plain_families
def test_l2_penalty_is_that_of_the_kernels(family):
    assert not _build(family).losses
    model = _build(family, l2=0.5)
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert len(model.losses) == len(kernels)
    expected = 0.5 * sum(np.sum(np.square(kernel)) for kernel in kernels)
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-4)


@plain_families
def test_initializer_is_that_of_every_kernel(family):
    model = _build(family, initializer="zeros")
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert kernels
    assert not any(np.any(kernel) for kernel in kernels)


@all_families
@pytest.mark.parametrize(
    ("shape", "num_classes", "options", "message"),
    [
        ((12, 12), 3, {}, r"`input_shape` must be three .*input_shape=\(12, 12\)"),
        ((12, 0, 1), 3, {}, r"`input_shape` must be three .*=\(12, 0, 1\)"),
        ((12, None, 1), 3, {}, r"`input_shape` must be three .*=\(12, None, 1\)"),
        (SHAPE, 1, {}, r"`num_classes` .*at least 2\. .*num_classes=1"),
        (SHAPE, 2.5, {}, r"`num_classes` must be an integer.*num_classes=2\.5"),
        (SHAPE, 3, {"l2": -0.1}, r"`l2` must be at least 0\. Received: l2=-0\.1"),
        (SHAPE, 3, {"l2": float("nan")}, r"`l2` must be at least 0\. .*l2=nan"),
        (
            SHAPE,
            3,
            {"initializer": "he_norml"},
            r'`initializer` must be .*"zeros".*=\'he_norml\'\. .*mean "he_normal"',
        ),
    ],
)
def test_bad_argument_is_named(family, shape, num_classes, options, message):
    if family == "fast_cifar_net" and (options or None in shape):
        return  # It has neither option and accepts images of any size.
    with pytest.raises(ValueError, match=message):
        _build(family, shape, num_classes, **options)


@hidden_families
def test_dropout_acts_in_training_only(family, pixels):
    model = _build(family, dropout=0.5)
    np.testing.assert_array_equal(model(pixels), model(pixels, training=False))
    dropped = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert dropped
    assert all(layer.rate == 0.5 for layer in dropped)
    ones = np.ones((1, 1000), "float32")
    assert 300 < np.sum(dropped[-1](ones, training=True) == 0) < 700


@hidden_families
def test_no_dropout_means_no_layer(family):
    model = _build(family, dropout=0.0)
    assert not any(isinstance(x, keras.layers.Dropout) for x in model.layers)


@hidden_families
@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_bad_dropout_is_named(family, dropout):
    with pytest.raises(ValueError, match=rf"`dropout` must .*dropout={dropout}"):
        _build(family, dropout=dropout)


@hidden_families
def test_activation_is_that_of_every_hidden_layer(family):
    with pytest.raises(ValueError, match="`activation` must be one of"):
        _build(family, activation="relo")
    model = _build(family, activation="gelu")
    functions = {
        layer.activation.__name__
        for layer in model.layers
        if hasattr(layer, "activation")
    }
    assert functions <= {"gelu", "linear"}
    assert "gelu" in functions
