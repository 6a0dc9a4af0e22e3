import io

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from keras import layers

from modelyard.exporting import picture_model
from modelyard.exporting.images import encode_images
from modelyard.exporting.picture_model import ExtraSignature, export_picture_model
from modelyard.exporting.publishing import GateError
from modelyard.serving.check.saved_model import check_saved_model
from modelyard.serving.description import ExportDescription, read_description
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.predict.image import save_images
from modelyard.serving.predict.predictor import load_predictor

_SIZES = ((1, 1), (1, 7), (5, 9), (64, 48))


def _pixels(*shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape).astype("uint8")


def _build_model(channels, out_channels, scale):
    """A network with a radius of 3 whose results also leave [0, 255]."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, channels))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    x = layers.Conv2D(out_channels * scale**2, 3, padding="same")(x)
    x = layers.Rescaling(600, offset=100)(x)
    if scale > 1:
        x = layers.Lambda(tf.nn.depth_to_space, arguments={"block_size": scale})(x)
    return keras.Model(inputs, x)


def _shown(pictures):
    """Pictures as an export returns them."""
    return np.clip(pictures, 0, 255)


@pytest.fixture(scope="module")
def model():
    return _build_model(3, 3, 2)


@pytest.fixture(scope="module")
def grey_model():
    """Half the resolution within, like a denoiser that shuffles pixels 2x2."""
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(8, 3, padding="same", activation="relu")
    last = layers.Conv2D(4, 3, padding="same")

    def process(pixels):
        size = tf.shape(pixels)
        padded = tf.pad(
            pixels / 255, ((0, 0), (0, size[1] % 2), (0, size[2] % 2), (0, 0))
        )
        x = last(conv(tf.nn.space_to_depth(padded, 2)))
        result = 128 + 300 * tf.nn.depth_to_space(x, 2)
        return result[:, : size[1], : size[2]]

    return process


@pytest.fixture(scope="module")
def published(model, publish, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "metrics.json").write_text("{}")
    return publish(
        export_picture_model,
        model,
        folder / "saved_models" / "enlarger",
        task="enhance-images",
        channels=3,
        golden_pictures=_pixels(2, 9, 8, 3),
        extra_files=[folder / "metrics.json"],
        halo=3,
        scale=2,
    )


@pytest.fixture(scope="module")
def served(published):
    with NativeModel(published.path) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def grey(grey_model, publish, tmp_path_factory):
    """A grey export that cuts small pictures into strips, with another signature."""

    def denoise(pixels, noise_level):
        return grey_model(pixels) - noise_level[:, None, None, None]

    path = publish(
        export_picture_model,
        grey_model,
        tmp_path_factory.mktemp("export") / "denoiser",
        task="denoise-images",
        channels=1,
        golden_pictures=_pixels(2, 9, 8, 1),
        extra_files=[],
        halo=4,
        strip_pixels=200,
        more_signatures={
            "denoise": ExtraSignature(
                denoise, {"noise_level": np.array([5, 25], "float32")}
            )
        },
    ).path
    with NativeModel(path) as loaded:
        yield loaded


def test_export_is_described_and_follows_every_rule(published):
    assert [rule.rule for rule in published.gate.rules if rule.ok is not True] == []
    assert check_saved_model(published.path).ok
    assert read_description(published.path) == ExportDescription(
        "enhance-images", kind="image", inputs="images"
    )
    assert (published.path / "assets.extra" / "metrics.json").is_file()


@pytest.mark.parametrize("size", _SIZES)
def test_pictures_of_any_size_are_those_of_the_model(served, model, size):
    pictures = _pixels(3, *size, 3)
    expected = model(pictures.astype("float32")).numpy().clip(0, 255)
    for name, inputs in (
        ("serving_default", {"pixels": pictures.astype("float32")}),
        ("serve_bytes", {"image_bytes": encode_images(pictures)}),
    ):
        answer = served.run(name, inputs)
        assert answer["picture"].dtype == np.float32
        np.testing.assert_allclose(answer["picture"], expected, atol=1e-3)


def test_files_hold_the_rounded_picture(served):
    answer = served.run("serving_default", {"pixels": np.float32(_pixels(2, 6, 5, 3))})
    shown = answer["picture"]
    assert shown.min() == 0  # Clipped: the model itself leaves the range.
    assert shown.max() == 255
    files = [PIL.Image.open(io.BytesIO(file)) for file in answer["picture_bytes"]]
    np.testing.assert_array_equal(np.stack(files), np.rint(shown))


def test_grey_model_reads_colour_files(grey, grey_model):
    file = encode_images(_pixels(1, 6, 7, 3))
    answer = grey.run("serve_bytes", {"image_bytes": file})
    luma = PIL.Image.open(io.BytesIO(file[0])).convert("L")
    expected = grey_model(np.array(luma, "float32")[None, ..., None]).numpy()
    # Pillow truncates where the graph rounds.
    np.testing.assert_allclose(answer["picture"], expected.clip(0, 255), atol=6)
    assert PIL.Image.open(io.BytesIO(answer["picture_bytes"][0])).mode == "L"


def test_images_of_a_request_must_have_one_size(served):
    files = np.concatenate([encode_images(_pixels(1, 4, w, 3)) for w in (5, 5, 6)])
    with pytest.raises(NativeError, match="All images of a request must have") as error:
        served.run("serve_bytes", {"image_bytes": files})
    assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("name", ["serving_default", "serve_bytes", "denoise"])
def test_request_without_images_is_answered(grey, name):
    inputs = {
        "serving_default": {"pixels": np.zeros((0, 4, 5, 1), "float32")},
        "serve_bytes": {"image_bytes": np.array([], object)},
        "denoise": {
            "pixels": np.zeros((0, 4, 5, 1), "float32"),
            "noise_level": np.zeros(0, "float32"),
        },
    }[name]
    answer = grey.run(name, inputs)
    size = (1, 1) if name == "serve_bytes" else (4, 5)
    assert answer["picture"].shape == (0, *size, 1)
    assert answer["picture_bytes"].shape == (0,)


@pytest.mark.parametrize(
    "shape", [(2, 4, 5, 1), (2, 4, 5, 4), (4, 5, 3), (2, 4, 5, 3, 1), (), (2, 0, 5, 3)]
)
def test_pixels_of_a_wrong_shape_are_refused(served, shape):
    with pytest.raises(NativeError) as error:
        served.run("serving_default", {"pixels": np.zeros(shape, "float32")})
    assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "files",
    [[b""], [b"no picture"], [b"\x89PNG\r\n\x1a\n"], [[b"a", b"b"]], b"no list"],
)
def test_bad_files_are_refused(served, files):
    with pytest.raises(NativeError) as error:
        served.run("serve_bytes", {"image_bytes": np.array(files, object)})
    assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("levels", [np.zeros(3), np.zeros((2, 1)), np.zeros(())])
def test_further_inputs_need_a_row_for_each_image(grey, levels):
    pixels = np.zeros((2, 4, 5, 1), "float32")
    with pytest.raises(NativeError) as error:
        grey.run("denoise", {"pixels": pixels, "noise_level": np.float32(levels)})
    assert error.value.code == "INVALID_ARGUMENT"


# The last is processed picture by picture, but not in strips.
@pytest.mark.parametrize("size", [(64, 48), (61, 7), (200, 1), (33, 301), (9, 15)])
def test_strips_give_the_whole_picture(grey, grey_model, size):
    pixels = np.float32(_pixels(3, *size, 1))
    levels = np.array([0, 10, 20], "float32")
    expected = grey_model(pixels).numpy()
    answer = grey.run("serving_default", {"pixels": pixels})
    np.testing.assert_allclose(answer["picture"], expected.clip(0, 255), atol=1e-3)
    answer = grey.run("denoise", {"pixels": pixels, "noise_level": levels})
    expected = (expected - levels[:, None, None, None]).clip(0, 255)
    np.testing.assert_allclose(answer["picture"], expected, atol=1e-3)


def test_strips_of_an_enlarged_picture_give_the_whole(model):
    strips = picture_model._Strips(3, 8, max_pixels=100, scale=2)
    seen = []

    def process(pixels):
        seen.append(tuple(pixels.shape))
        return model(pixels)

    for size in ((64, 48), (61, 7), (1, 150)):
        seen.clear()
        pixels = tf.constant(_pixels(2, *size, 3), tf.float32)
        result = picture_model._process_parts(process, strips, 3, pixels)
        np.testing.assert_allclose(result, _shown(model(pixels)), atol=1e-3)
        # At most 16 rows, which are twice the context, between 8 on each side.
        assert len(seen) == 2 * -(-size[0] // 16)
        assert max(shape[1] for shape in seen) <= 32


def test_strips_without_context_differ(model):
    strips = picture_model._Strips(0, 8, max_pixels=100, scale=2)
    pixels = tf.constant(_pixels(1, 64, 48, 3), tf.float32)
    result = picture_model._process_parts(model, strips, 3, pixels)
    assert np.abs(result - model(pixels)).max() > 1


def test_picture_that_depends_on_everything_is_never_cut():
    strips = picture_model._Strips(None, 8, max_pixels=100, scale=1)
    pixels = tf.constant(_pixels(2, 64, 48, 1), tf.float32)

    def process(pixels):
        return pixels - tf.reduce_mean(pixels, (1, 2, 3), keepdims=True)

    result = picture_model._process_parts(process, strips, 1, pixels)
    np.testing.assert_allclose(result, _shown(process(pixels)), atol=1e-3)


def test_files_of_different_sizes_are_predicted_and_saved(published, model, tmp_path):
    pictures = {"a": _pixels(4, 5, 3), "b": _pixels(7, 2, 3)}
    for name, picture in pictures.items():
        PIL.Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    np.save(tmp_path / "d.npy", np.float32(pictures["a"][None]))
    with load_predictor(published.path) as predictor:
        assert predictor.kind == "image"
        answers = predictor.predict(
            [tmp_path / name for name in ("a.png", "b.png", "c.png", "d.npy")]
        )
    saved = save_images(answers, tmp_path / "out")
    assert [bool(answer.error) for answer in saved] == [False, False, True, False]
    for answer, name in ((saved[0], "a"), (saved[1], "b"), (saved[3], "a")):
        expected = model(np.float32(pictures[name][None]))[0]
        shown = np.array(PIL.Image.open(answer.path), "float32")
        np.testing.assert_allclose(shown, np.clip(expected, 0, 255), atol=0.51)


def test_export_that_answers_otherwise_is_refused(grey_model, tmp_path):
    # As a function that depends on what only training has.
    calls = []

    def process(pixels):
        calls.append(None)
        return grey_model(pixels) + (0.2 if len(calls) == 1 else 0.0)

    with pytest.raises(GateError, match=r"golden: .*`picture`.*0\.2"):
        export_picture_model(
            process,
            tmp_path / "pictures",
            task="denoise-images",
            channels=1,
            golden_pictures=_pixels(1, 4, 4, 1),
            extra_files=[],
        )
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channels": 2}, r"`channels` .*channels=2"),
        ({"channels": 3}, r"`golden_pictures` .*shape=\(1, 4, 4, 1\)"),
        ({"halo": -1}, r"`halo` .*halo=-1"),
        ({"multiple": 0}, r"`multiple` .*multiple=0"),
        ({"strip_pixels": 0}, r"`strip_pixels` .*strip_pixels=0"),
        ({"scale": 0}, r"`scale` .*scale=0"),
        ({"more_signatures": {"serve_bytes": None}}, r"Received: serve_bytes"),
    ],
)
def test_bad_arguments_are_named(grey_model, tmp_path, changed, message):
    arguments = {
        "task": "denoise-images",
        "channels": 1,
        "golden_pictures": _pixels(1, 4, 4, 1),
        "extra_files": [],
    }
    with pytest.raises(ValueError, match=message):
        export_picture_model(grey_model, tmp_path / "x", **{**arguments, **changed})
