"""Runs of `classify-images`; what all pipelines do is in test_contract."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.images.loading import load_images
from modelyard.data.settings import make_config
from modelyard.exporting import image_classifier
from modelyard.exporting.publishing import GateError
from modelyard.pipelines.classify_images.config import Config
from modelyard.pipelines.classify_images.run import export

from .conftest import DIGITS, arguments_in, run_in

_QUICK = (*DIGITS, "--max-train-examples", "256", "--model", "perceptron")


def _run(root, *flags):
    return run_in(root, "classify-images", *_QUICK, *flags)


def _read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("classify-images")


@pytest.fixture(scope="module")
def perceptron(root):
    """A run of the fastest model, without export."""
    return _run(root, "--no-export")


def test_metrics_have_the_promised_structure(sample):
    metrics = sample("classify-images").read("metrics.json")
    assert set(metrics) == {"test", "validation", "timing"}
    test = metrics["test"]
    low, high = test["accuracy_interval"]
    assert 0.5 < low < test["accuracy"] < high <= 1  # Ten classes: it has learned.
    assert test["num_examples"] == 360
    timing = metrics["timing"]
    assert timing["epochs"] == 2
    # Whole batches only: 4 updates of 64 in each of the 2 epochs.
    assert timing["examples_per_second"] * timing["train_seconds"] == pytest.approx(512)


def test_encoded_images_are_predicted_as_the_trained_model_does(sample):
    run = sample("classify-images")
    images = load_images("digits").test.images[:5]
    model = keras.models.load_model(run.folder / "model.keras")
    scores = keras.ops.softmax(model(images.astype("float32")))
    loaded = tf.saved_model.load(str(run.export))
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    for count in (1, 5):
        answer = loaded.signatures["serve_bytes"](image_bytes=encoded[:count])
        np.testing.assert_allclose(answer["scores"], scores[:count], atol=1e-5)
        assert answer["classes"].numpy()[-1].tolist() == [b"%d" % i for i in range(10)]


@pytest.mark.slow
def test_next_export_is_the_next_version(root, perceptron):
    base = root / "saved_models" / "digits-perceptron"
    assert not base.exists()  # `--no-export` publishes nothing.
    assert [export(perceptron), export(perceptron)] == [base / "1", base / "2"]
    assert sorted(path.name for path in base.iterdir()) == ["1", "2"]


@pytest.mark.slow
def test_seed_decides_the_weights(perceptron, tmp_path):
    again = _run(tmp_path, "--no-export")
    np.testing.assert_array_equal(_weights(again), _weights(perceptron))
    other = _run(tmp_path, "--no-export", "--seed", "1")
    assert not np.array_equal(_weights(other), _weights(perceptron))


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "steps"), [("1", 40), ("full", 1)])
def test_batch_size_sets_the_updates_per_epoch(tmp_path, batch_size, steps):
    few = ("--max-train-examples", "40", "--no-export")
    folder = _run(tmp_path, *few, "--batch-size", batch_size)
    with np.load(folder / "checkpoints" / "epoch-00001.npz") as arrays:
        scalars = [a for n, a in arrays.items() if n != "progress" and a.shape == ()]
    assert steps in scalars  # The optimizer's count of updates.
    timing = _read(folder)["timing"]
    # Either way every example is seen once.
    assert timing["examples_per_second"] * timing["train_seconds"] == pytest.approx(40)


@pytest.mark.slow
def test_early_stopping_restores_the_best_epoch(tmp_path):
    folder = _run(
        tmp_path,
        *("--no-export", "--epochs", "60"),
        # So fast that the loss rises now and then.
        *("--early-stopping", "1", "--learning-rate", "1"),
    )
    metrics = _read(folder)
    with (folder / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert metrics["timing"]["epochs"] == len(losses) < 60
    assert losses[-1] > min(losses)
    # Trained in bfloat16 on some machines, measured in float32.
    assert metrics["validation"]["log_loss"] == pytest.approx(min(losses), rel=0.02)


@pytest.mark.slow
def test_muon_average_and_augmented_test_run(tmp_path):
    flags = ("--model", "mlp", "--no-export", "--test-time-augmentation", "shift")
    plain = _run(tmp_path, *flags, "--optimizer", "muon")
    averaged = _run(tmp_path, *flags, "--optimizer", "muon", "--ema", "0.9")
    assert not np.allclose(_weights(plain), _weights(averaged))
    metrics = _read(averaged)
    assert metrics["test_tta"]["num_examples"] == 360
    assert metrics["test_tta"]["log_loss"] != metrics["test"]["log_loss"]
    assert metrics["timing"]["tta_seconds"] > 0
    assert "test-time augmentation" in (averaged / "report.html").read_text()


@pytest.mark.slow
def test_fast_cifar_net_starts_with_small_images_and_is_exported(tmp_path):
    flags = (
        "--dataset photos --model fast_cifar_net --widths 16 16 16 --epochs 10 "
        "--small-share 0.5 --optimizer filter_muon --learning-rate 0.1 --flip "
        "--alternate-flip --test-time-augmentation six"
    )
    folder = _run(tmp_path, *flags.split())
    metrics = _read(folder)
    assert metrics["test"]["accuracy"] > 0.3  # Of nine photographs.
    assert metrics["test_tta"]["accuracy"] > 0.3
    assert _read(folder, "export.json")["path"].endswith("photos-fast_cifar_net/1")


def test_small_images_are_refused_for_models_of_one_size():
    with pytest.raises(ValueError, match=r"`small_share` must .*small_share=0\.5"):
        make_config(Config, {"model": "convnet", "small_share": 0.5})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dropout", "0.5"), r"`dropout` is not an option .* perceptron"),
        (("--shift", "99"), r"`shift` .*8x8.*shift=99"),
    ],
)
def test_setting_that_does_not_fit_is_refused_before_writing(tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        _run(tmp_path, *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_folder_of_images_becomes_a_served_model(tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("dunkel", 40), ("weiß hell", 200)):
        (tmp_path / "bilder" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level, level + 50, (9, 7, 3)).astype("uint8")
            file = tmp_path / "bilder" / name / f"{i}.png"
            PIL.Image.fromarray(pixels).save(file)
    dataset = f"folder:{tmp_path / 'bilder'}?size=8"
    flags = ("--model", "mlp", "--epochs", "20", "--batch-size", "4")
    folder = _run(tmp_path, "--dataset", dataset, *flags)
    assert _read(folder)["test"]["accuracy"] == 1
    (path,) = (tmp_path / "saved_models").glob("folder-bilder*-mlp/1")
    labels = (path / "assets.extra" / "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["dunkel", "weiß hell"]
    signature = tf.saved_model.load(str(path)).signatures["serve_bytes"]
    picture = (tmp_path / "bilder" / "weiß hell" / "3.png").read_bytes()
    answer = signature(image_bytes=tf.constant([picture]))
    assert answer["classes"].numpy()[0, np.argmax(answer["scores"])].decode() == (
        "weiß hell"
    )


@pytest.mark.slow
def test_refused_export_publishes_nothing(perceptron, tmp_path, monkeypatch):
    golden_requests = image_classifier._golden_requests

    def wrong_requests(*arguments):
        requests = golden_requests(*arguments)
        inputs, answer = requests["serve_bytes"]
        wrong = answer | {"scores": answer["scores"][:, ::-1]}
        return requests | {"serve_bytes": (inputs, wrong)}

    monkeypatch.setattr(image_classifier, "_golden_requests", wrong_requests)
    settings = _read(perceptron, "config.json")
    (tmp_path / "run").mkdir()
    for file in perceptron.iterdir():
        if file.is_file():
            (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    settings["saved_models_dir"] = str(tmp_path / "saved_models")
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(GateError, match=r"nothing was published.*scores"):
        export(tmp_path / "run")
    assert not list((tmp_path / "saved_models").iterdir())


@pytest.mark.slow
def test_run_started_with_relative_paths_is_exported_from_anywhere(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = run_in(Path(), "classify-images", *_QUICK, "--no-export")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert export(folder) == tmp_path / "saved_models" / "digits-perceptron" / "1"


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", ""])
def test_export_name_stays_below_its_root(name):
    with pytest.raises(ValueError, match=r"`export_name` must be a plain name"):
        make_config(Config, {"export_name": name})


@pytest.mark.slow
def test_run_on_the_jax_backend_is_exported_by_tensorflow(tmp_path):
    command = [sys.executable, "-m", "modelyard.pipelines.cli", "run"]
    done = subprocess.run(
        [*command, "classify-images", *arguments_in(tmp_path, *_QUICK)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The gate has checked it.
    assert (tmp_path / "saved_models/digits-perceptron/1/saved_model.pb").exists()
    (environment,) = tmp_path.glob("runs/*/*/*/environment.json")
    assert json.loads(environment.read_text())["backend"] == "jax"
