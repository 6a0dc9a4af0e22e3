"""Runs of `encode-images`; what all pipelines do is in test_contract."""

import io
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.images.loading import load_images
from modelyard.data.settings import make_config
from modelyard.pipelines.encode_images.config import Config

from .conftest import DIGITS, run_in


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def pca(tmp_path_factory):
    """A run of PCA, without export."""
    root = tmp_path_factory.mktemp("pca")
    flags = ("--model", "pca", "--code-size", "8", "--no-export")
    return run_in(root, "encode-images", *DIGITS, *flags)


def test_pca_explains_what_scikit_learn_says(pca):
    from sklearn.decomposition import PCA

    splits = load_images("digits", validation_share=1 / 12, max_train_examples=512)
    train, test = (
        part.images.reshape(len(part), -1) / 255 for part in (splits.train, splits.test)
    )
    reference = PCA(8, svd_solver="full").fit(train)
    again = reference.inverse_transform(reference.transform(test)).clip(0, 1)
    error = _metrics(pca)["test"]["mean_squared_error"]
    assert error == pytest.approx(np.square(again - test).mean(), rel=1e-3)


def test_pca_needs_no_baseline_and_has_no_epochs(pca):
    metrics = _metrics(pca)
    assert "pca" not in metrics
    timing = metrics["timing"]
    assert timing["epochs"] == 0
    assert timing["train_seconds"] > 0
    assert "examples_per_second" not in timing
    page = (pca / "report.html").read_text()
    for words in ("Every epoch", "Training speed", "Test, PCA"):
        assert words not in page


def test_codes_keep_the_classes_better_than_chance(sample, pca):
    trained = sample("encode-images").read("metrics.json")
    assert trained["test"]["probe_accuracy"] > 0.6  # Ten classes.
    assert _metrics(pca)["test"]["probe_accuracy"] > 0.8
    assert trained["pca"]["psnr"] == pytest.approx(_metrics(pca)["test"]["psnr"], 1e-4)


def test_larger_codes_lose_less(pca, tmp_path):
    flags = ("--model", "pca", "--code-size", "32", "--no-export")
    larger = run_in(tmp_path, "encode-images", *DIGITS, *flags)
    assert _metrics(larger)["test"]["psnr"] > _metrics(pca)["test"]["psnr"] + 3


def test_served_codes_and_reconstructions_are_those_of_the_model(sample):
    run = sample("encode-images")
    images = load_images("digits").test.images[:3]
    pixels = tf.constant(images, tf.float32)
    model = keras.models.load_model(run.folder / "model.keras")
    encoder = keras.Model(model.input, model.get_layer("code").output)
    signatures = tf.saved_model.load(str(run.export)).signatures
    codes = signatures["encode"](pixels=pixels)["codes"]
    assert codes.shape == (3, 8)
    np.testing.assert_allclose(codes, encoder(pixels), atol=1e-4)
    answer = signatures["reconstruct"](pixels=pixels)
    np.testing.assert_allclose(answer["reconstruction"], model(pixels), atol=1e-2)
    file = io.BytesIO(answer["reconstruction_bytes"].numpy()[0])
    with PIL.Image.open(file) as picture:
        decoded = np.asarray(picture)
    assert np.abs(decoded - answer["reconstruction"][0, ..., 0]).max() <= 0.51


def test_report_shows_originals_beside_reconstructions(sample):
    page = (sample("encode-images").folder / "report.html").read_text()
    assert page.count('alt="original"') == page.count('alt="reconstruction"') == 36
    for words in ("Test PSNR", "Linear probe", "Test, PCA", "Largest errors"):
        assert words in page


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"code_size": 0}, r"`code_size` must be at least 1.*code_size=0"),
        ({"model": "vae"}, r"`model` must be one of pca, autoencoder"),
    ],
)
def test_settings_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_config(Config, fields)


@pytest.mark.parametrize("model", ["pca", "autoencoder"])
@pytest.mark.parametrize(
    ("size", "few", "most"),
    [("65", (), 64), ("31", ("--max-train-examples", "30"), 30)],
)
def test_code_that_pca_cannot_make_is_refused_before_writing(
    tmp_path, model, size, few, most
):
    flags = ("--model", model, "--code-size", size, "--no-export", *few)
    message = rf"`code_size` must be at most {most},.*code_size={size}"
    with pytest.raises(ValueError, match=message):
        run_in(tmp_path, "encode-images", *DIGITS, *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.real_data("mnist")
def test_autoencoder_beats_pca_on_mnist(tmp_path):
    flags = ("--dataset", "mnist", "--max-train-examples", "6000", "--epochs", "4")
    metrics = _metrics(run_in(tmp_path, "encode-images", *flags, "--no-export"))
    assert metrics["test"]["psnr"] > metrics["pca"]["psnr"]
    assert metrics["test"]["probe_accuracy"] > 0.85
