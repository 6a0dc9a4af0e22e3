import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from modelyard.evaluation.heat_maps import explain_images
from modelyard.exporting import image_classifier
from modelyard.exporting.image_classifier import export_image_classifier
from modelyard.exporting.publishing import GateError, bytes_example
from modelyard.serving.description import ExportDescription, read_description
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.predict.predictor import load_predictor

_NAMES = ("cat", "dog", "höhle")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1), name="pixels")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = keras.layers.Dense(3, kernel_initializer="random_normal", name="logits")(x)
    return keras.Model(inputs, 50 * logits)


@pytest.fixture(scope="module")
def published(model, images, publish, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "metrics.json").write_text("{}")
    return publish(
        export_image_classifier,
        model,
        folder / "saved_models" / "animals",
        task="classify-images",
        class_names=_NAMES,
        golden_images=images,
        extra_files=[folder / "metrics.json"],
        explain=True,
    )


@pytest.fixture(scope="module")
def served(published):
    with NativeModel(published.path) as loaded:
        yield loaded


def _encode(images):
    return [tf.io.encode_png(image).numpy() for image in images]


def test_first_export_is_version_one_and_follows_every_rule(published):
    assert published.path.name == "1"
    assert [path.name for path in published.path.parent.iterdir()] == ["1"]
    assert [rule.rule for rule in published.gate.rules if rule.ok is not True] == []


def test_export_is_described_and_documents_travel_along(published):
    assert read_description(published.path) == ExportDescription(
        "classify-images", kind="classes", inputs="images", class_names=_NAMES
    )
    extra = published.path / "assets.extra"
    assert json.loads((extra / "metrics.json").read_text()) == {}
    assert (extra / "labels.txt").read_text().splitlines() == list(_NAMES)


def test_signatures_answer_like_the_model(served, model, images):
    assert set(served.signatures) == {
        *("serving_default", "serve_bytes", "classify", "embed", "explain")
    }
    pixels = images.astype("float32")
    expected = tf.nn.softmax(model(pixels)).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    encoded = _encode(images)
    examples = [bytes_example("image", image) for image in encoded]
    answers = [
        served.run("serving_default", {"pixels": pixels}),
        served.run("serve_bytes", {"image_bytes": np.array(encoded, object)}),
        served.run("classify", {"inputs": np.array(examples, object)}),
        served.run("explain", {"pixels": pixels}),
    ]
    for answer in answers:
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-6)
        assert answer["scores"].dtype == np.float32
        for row in answer["classes"]:
            assert [name.decode() for name in row] == list(_NAMES)


def test_embeddings_are_the_features_of_the_model(served, model, images):
    pixels = images.astype("float32")
    features = keras.Model(model.input, model.get_layer("features").output)
    embedding = served.run("embed", {"pixels": pixels})["embedding"]
    np.testing.assert_allclose(embedding, features(pixels), atol=1e-6)


def test_explanations_are_the_heat_maps_of_the_model(served, model, images):
    answer = served.run("explain", {"pixels": images.astype("float32")})
    heat_maps = explain_images(model, images)
    assert np.ptp(heat_maps) > 0.1
    np.testing.assert_allclose(answer["heat_maps"], heat_maps, atol=1e-5)


def test_bad_image_bytes_are_an_error(served):
    with pytest.raises(NativeError):
        served.run("serve_bytes", {"image_bytes": np.array([b"no picture"], object)})


def test_odd_pictures_are_answered_or_named_by_the_served_graph(published, tmp_path):
    grey = PIL.Image.new("L", (5, 6), 90)
    odd = {
        "grey_alpha.png": PIL.Image.new("LA", (5, 6), (90, 10)),
        "one_pixel.png": PIL.Image.new("L", (1, 1), 90),
        "20_megapixels.png": PIL.Image.new("L", (5000, 4000), 90),
        "colour.png": PIL.Image.new("RGB", (50, 60), (90, 90, 90)),
    }
    grey.save(tmp_path / "plain.png")
    grey.save(tmp_path / "animated.gif", save_all=True, append_images=[grey.rotate(9)])
    for name, image in odd.items():
        image.save(tmp_path / name)
    good = sorted(tmp_path.iterdir())
    bad = [tmp_path / "text.png", tmp_path / "cut.png"]
    bad[0].write_text("These are words.")
    bad[1].write_bytes((tmp_path / "plain.png").read_bytes()[:40])
    with load_predictor(published.path) as predictor:
        answers = predictor.predict([*good, *bad])
    expected = next(a for a in answers if a.input.endswith("plain.png"))
    for answer in answers[: len(good)]:
        assert not answer.error
        assert dict(answer.top) == pytest.approx(dict(expected.top), abs=0.02)
    for path, answer in zip(bad, answers[len(good) :], strict=True):
        assert str(path) in answer.error


def test_export_that_answers_otherwise_is_refused(model, images, tmp_path, monkeypatch):
    honest = image_classifier._golden_requests

    def shifted(*arguments):
        golden = honest(*arguments)
        golden["embed"][1]["embedding"] += 0.01
        return golden

    monkeypatch.setattr(image_classifier, "_golden_requests", shifted)
    base = tmp_path / "animals"
    with pytest.raises(GateError, match=r"golden: .*`embed`.*0\.01"):
        export_image_classifier(
            model,
            base,
            task="classify-images",
            class_names=_NAMES,
            golden_images=images,
            extra_files=[],
        )
    assert not base.exists()


def test_explanations_are_exported_on_request_only(
    model, images, tmp_path, monkeypatch
):
    seen = {}

    def publish_export(base, _, **kwargs):
        seen.update(kwargs)
        return base

    monkeypatch.setattr(image_classifier, "publish_export", publish_export)
    export_image_classifier(
        model,
        tmp_path,
        task="classify-images",
        class_names=_NAMES,
        golden_images=images,
        extra_files=[],
    )
    assert set(seen["golden"]) == {
        *("serving_default", "serve_bytes", "classify", "embed")
    }


def test_wrong_shapes_are_refused_and_no_rows_get_no_answers(
    served, images, try_wrong_shapes
):
    encoded = _encode(images)
    examples = [bytes_example("image", image) for image in encoded]
    rows = {
        "pixels": images.astype("float32"),
        "image_bytes": np.array(encoded, object),
        "inputs": np.array(examples, object),
    }
    try_wrong_shapes(served, rows)
