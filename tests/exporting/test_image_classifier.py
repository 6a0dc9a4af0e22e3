import json
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from modelyard.evaluation.heat_maps import explain_images
from modelyard.exporting import image_classifier as export
from modelyard.exporting import publishing
from modelyard.serving.check.saved_model import check_saved_model
from modelyard.serving.predict.predictor import load_predictor
from modelyard.training.files import StorageError

_NAMES = ("cat", "dog", "höhle")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1), name="pixels")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(4, activation="relu", name="features")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 6, 5, 1)).astype("uint8")


@pytest.fixture(scope="module")
def published(model, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "metrics.json").write_text("{}")
    base = folder / "saved_models" / "animals"
    return _publish(model, images, base, [folder / "metrics.json"])


def _publish(model, images, base, extra_files=(), **options):
    return export.export_image_classifier(
        model,
        base,
        class_names=_NAMES,
        golden_images=images,
        extra_files=extra_files,
        **options,
    )


def test_first_export_is_version_one_and_passes_its_check(published):
    assert published.name == "1"
    assert [path.name for path in published.parent.iterdir()] == ["1"]
    result = check_saved_model(published)
    assert [rule.rule for rule in result.rules if rule.ok is not True] == []


def test_signatures_answer_like_the_model(published, model, images):
    loaded = tf.saved_model.load(str(published))
    logits = model(images.astype("float32"))
    expected = tf.nn.softmax(logits).numpy()
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    answers = [
        loaded.signatures["serving_default"](pixels=tf.constant(images, tf.float32)),
        loaded.signatures["serve_bytes"](image_bytes=encoded),
        loaded.signatures["classify"](
            inputs=tf.constant(
                [publishing.bytes_example("image", e.numpy()) for e in encoded]
            )
        ),
    ]
    for answer in answers:
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-6)
        assert answer["scores"].dtype == tf.float32
        names = [name.decode() for name in answer["classes"].numpy()[-1]]
        assert names == list(_NAMES)
    features = loaded.signatures["embed"](pixels=tf.constant(images, tf.float32))
    assert features["embedding"].shape == (4, 4)


def test_explaining_export_gives_heat_maps_beside_the_scores(images, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1), name="pixels")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))
    path = _publish(model, images, tmp_path / "animals", explain=True)
    result = check_saved_model(path)
    assert [rule.rule for rule in result.rules if rule.ok is not True] == []
    pixels = tf.constant(images, tf.float32)
    answer = tf.saved_model.load(str(path)).signatures["explain"](pixels=pixels)
    np.testing.assert_allclose(answer["scores"], tf.nn.softmax(model(pixels)), 1e-5)
    np.testing.assert_allclose(
        answer["heat_maps"], explain_images(model, images), atol=1e-5
    )
    assert answer["classes"].shape == (4, 3)


def test_bad_image_bytes_are_an_invalid_argument(published):
    loaded = tf.saved_model.load(str(published))
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["serve_bytes"](image_bytes=tf.constant([b"no picture"]))


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
    with load_predictor(published) as predictor:
        answers = predictor.predict([*good, *bad])
    expected = next(a for a in answers if a.input.endswith("plain.png"))
    for answer in answers[: len(good)]:
        assert not answer.error
        assert dict(answer.top) == pytest.approx(dict(expected.top), abs=0.02)
    for path, answer in zip(bad, answers[len(good) :], strict=True):
        assert str(path) in answer.error


def test_documents_and_labels_travel_along(published):
    extra = published / "assets.extra"
    assert json.loads((extra / "metrics.json").read_text()) == {}
    assert (extra / "labels.txt").read_text().splitlines() == list(_NAMES)


def test_folders_can_be_read_by_a_server_of_another_user(published):
    assert published.stat().st_mode & 0o055 == 0o055


def test_next_export_takes_the_next_free_number(model, images, tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    assert _publish(model, images, tmp_path).name == "8"


def test_export_that_answers_otherwise_is_refused(model, images, tmp_path, monkeypatch):
    honest = export._golden_requests

    def shifted(*arguments):
        golden = honest(*arguments)
        golden["embed"][1]["embedding"] += 0.01
        return golden

    monkeypatch.setattr(export, "_golden_requests", shifted)
    base = tmp_path / "animals"
    with pytest.raises(export.GateError, match=r"golden: .*`embed`.*0\.01"):
        _publish(model, images, base)
    assert not base.exists()


def test_place_that_cannot_be_written_is_named(model, images, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/animals"):
        _publish(model, images, Path(tmp_path / "file" / "animals"))
