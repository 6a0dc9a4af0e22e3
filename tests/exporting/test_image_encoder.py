import io
import json

import keras
import numpy as np
import PIL.Image
import pytest

from modelyard.exporting import image_encoder
from modelyard.exporting.image_encoder import export_image_encoder
from modelyard.exporting.images import encode_images
from modelyard.exporting.publishing import GateError
from modelyard.serving.description import ExportDescription, read_description
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.predict.predictor import load_predictor


@pytest.fixture(scope="module")
def model():
    """An autoencoder, whose reconstructions also leave [0, 255]."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1), name="pixels")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    code = keras.layers.Dense(3, name="code")(x)
    x = keras.layers.Dense(30)(code)
    return keras.Model(inputs, keras.layers.Reshape((6, 5, 1))(128 + 400 * x))


@pytest.fixture(scope="module")
def encoder(model):
    return keras.Model(model.input, model.get_layer("code").output)


@pytest.fixture(scope="module")
def published(model, images, publish, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "metrics.json").write_text("{}")
    return publish(
        export_image_encoder,
        model,
        folder / "saved_models" / "pictures",
        task="encode-images",
        golden_images=images,
        extra_files=[folder / "metrics.json"],
    )


@pytest.fixture(scope="module")
def served(published):
    with NativeModel(published.path) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def others():
    """Pixels that are not among the golden ones."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (7, 6, 5, 1)).astype("uint8")


def test_first_export_is_version_one_and_follows_every_rule(published):
    assert published.path.name == "1"
    assert [path.name for path in published.path.parent.iterdir()] == ["1"]
    assert [rule.rule for rule in published.gate.rules if rule.ok is not True] == []


def test_export_is_described_and_documents_travel_along(published):
    assert read_description(published.path) == ExportDescription(
        "encode-images", kind="codes", inputs="images"
    )
    extra = published.path / "assets.extra"
    assert json.loads((extra / "metrics.json").read_text()) == {}
    assert not (extra / "labels.txt").exists()


def test_codes_are_those_of_the_model(served, encoder, others):
    assert set(served.signatures) == {
        *("serving_default", "encode", "reconstruct", "serve_bytes")
    }
    pixels = others.astype("float32")
    expected = encoder(pixels).numpy()
    assert np.ptp(expected) > 0.1
    answers = [
        served.run("serving_default", {"pixels": pixels}),
        served.run("encode", {"pixels": pixels}),
        served.run("serve_bytes", {"image_bytes": encode_images(others)}),
    ]
    for answer in answers:
        assert list(answer) == ["codes"]
        assert answer["codes"].dtype == np.float32
        np.testing.assert_allclose(answer["codes"], expected, atol=1e-5)


def test_reconstructions_are_those_of_the_model(served, model, others):
    pixels = others.astype("float32")
    answer = served.run("reconstruct", {"pixels": pixels})
    np.testing.assert_allclose(answer["reconstruction"], model(pixels), atol=1e-3)


def test_files_hold_the_rounded_reconstruction(served, others):
    answer = served.run("reconstruct", {"pixels": others.astype("float32")})
    files = answer["reconstruction_bytes"]
    assert files.shape == (7,)
    decoded = np.stack([PIL.Image.open(io.BytesIO(file)) for file in files])
    shown = answer["reconstruction"][..., 0]
    assert shown.min() < -1
    assert shown.max() > 256
    np.testing.assert_array_equal(decoded, np.rint(shown).clip(0, 255))


def test_files_and_arrays_are_predicted_as_codes(published, encoder, others, tmp_path):
    PIL.Image.fromarray(others[0, ..., 0]).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", others[:3].astype("float32"))
    with load_predictor(published.path) as predictor:
        assert predictor.kind == "codes"
        answers = predictor.predict([tmp_path / "a.png", tmp_path / "b.npy"])
    expected = encoder(others[[0, 0, 1, 2]].astype("float32"))
    np.testing.assert_allclose(
        [answer.codes for answer in answers], expected, atol=1e-5
    )
    assert answers[0].describe().startswith(f"{tmp_path / 'a.png'}: 3 numbers: ")


def test_export_that_encodes_otherwise_is_refused(model, images, tmp_path, monkeypatch):
    honest = image_encoder._predict

    def shifted(network, pixels):
        answer = honest(network, pixels)
        return answer if network is model else answer + 0.02

    monkeypatch.setattr(image_encoder, "_predict", shifted)
    base = tmp_path / "pictures"
    with pytest.raises(GateError, match=r"golden: .*`codes`.*0\.02"):
        export_image_encoder(
            model, base, task="encode-images", golden_images=images, extra_files=[]
        )
    assert not base.exists()


def test_wrong_shapes_are_refused_and_no_rows_get_no_answers(
    served, images, try_wrong_shapes
):
    rows = {"pixels": images.astype("float32"), "image_bytes": encode_images(images)}
    try_wrong_shapes(served, rows)
