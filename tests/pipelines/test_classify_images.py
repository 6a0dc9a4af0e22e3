"""Whole runs of the pipeline, in this process."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from rich.console import Console

from modelyard.data.images.loading import load_images
from modelyard.exporting import image_classifier as export_module
from modelyard.pipelines import classify_images
from modelyard.pipelines.configs import parse_config
from modelyard.serving.check.saved_model import check_saved_model

_QUIET = Console(quiet=True)
_SMOKE = ("--recipe", "smoke", "--dataset", "digits", "--max-train-examples", "256")


def _config(root, *flags):
    roots = ("--runs-dir", root / "runs", "--saved-models-dir", root / "saved_models")
    arguments = [str(a) for a in (*_SMOKE, *roots, *flags)]
    return parse_config(classify_images, arguments)[0]


def _run(root, *flags):
    return classify_images.run(_config(root, *flags), console=_QUIET)


def _read(folder, name):
    return json.loads((folder / name).read_text())


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def finished(root):
    """A run of the default model with its export."""
    return _run(root, "--epochs", "2")


@pytest.fixture(scope="module")
def perceptron(root):
    """A run of the fastest model, without export."""
    return _run(root, "--model", "perceptron", "--no-export")


def test_run_leaves_all_files(finished, root):
    for name in (
        "config.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "model.keras",
        "report.html",
        "MODEL_CARD.md",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert list(finished.glob("checkpoints/epoch-00002.npz"))
    assert list(finished.glob("tensorboard/**/events.out.*"))
    parent = root / "runs" / "classify-images" / "digits-convnet"
    assert finished.parent == parent
    assert not list(root.glob("**/.*partial*"))


def test_config_of_the_run_runs_it_again(finished, root):
    arguments = ["--config", str(finished / "config.json")]
    assert parse_config(classify_images, arguments)[0] == _config(root, "--epochs", "2")


def test_history_has_a_row_an_epoch(finished):
    heading, *rows = (finished / "history.csv").read_text().splitlines()
    assert {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(
        heading.split(",")
    )
    assert [row.split(",")[0] for row in rows] == ["1", "2"]


def test_metrics_have_the_promised_structure(finished):
    metrics = _read(finished, "metrics.json")
    assert set(metrics) == {"test", "validation", "timing"}
    test = metrics["test"]
    low, high = test["accuracy_interval"]
    assert 0.5 < low < test["accuracy"] < high <= 1  # Ten classes: it has learned.
    assert test["num_examples"] == 360
    timing = metrics["timing"]
    assert timing["epochs"] == 2
    assert timing["train_seconds"] > 0
    # Whole batches only: 4 updates of 64 in each of the 2 epochs.
    assert timing["examples_per_second"] * timing["train_seconds"] == pytest.approx(512)
    assert 0 <= timing["input_wait_share"] < 1


def test_metrics_are_those_of_the_saved_model(finished):
    measured = classify_images.evaluate(finished)
    assert measured == _read(finished, "metrics.json")["test"]


@pytest.mark.slow
def test_export_passes_the_check(finished, root):
    assert finished
    result = check_saved_model(root / "saved_models" / "digits-convnet" / "1")
    assert result.ok, [rule for rule in result.rules if rule.ok is False]


def test_export_carries_the_run(finished, root):
    extra = root / "saved_models" / "digits-convnet" / "1" / "assets.extra"
    for name in ("config.json", "environment.json", "metrics.json", "MODEL_CARD.md"):
        assert (extra / name).read_bytes() == (finished / name).read_bytes()
    assert (extra / "labels.txt").read_text().split() == list("0123456789")
    assert (extra / "tf_serving_warmup_requests").stat().st_size > 0


def test_encoded_images_are_predicted_as_the_trained_model_does(finished, root):
    images = load_images("digits").test.images[:5]
    logits = keras.models.load_model(finished / "model.keras")(images.astype("float32"))
    export = tf.saved_model.load(root / "saved_models" / "digits-convnet" / "1")
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    for count in (1, 5):
        answer = export.signatures["serve_bytes"](image_bytes=encoded[:count])
        np.testing.assert_allclose(
            answer["scores"], keras.ops.softmax(logits)[:count], atol=1e-5
        )
        assert answer["classes"].numpy()[-1].tolist() == [b"%d" % i for i in range(10)]


@pytest.mark.slow
def test_next_export_is_the_next_version(finished, root):
    published = classify_images.export(finished)
    base = root / "saved_models" / "digits-convnet"
    assert published == base / "2"
    assert sorted(path.name for path in base.iterdir()) == ["1", "2"]


def test_same_seed_gives_the_same_weights(perceptron, tmp_path):
    again = _run(tmp_path, "--model", "perceptron", "--no-export")
    np.testing.assert_array_equal(_weights(again), _weights(perceptron))


def test_other_seed_gives_other_weights(perceptron, tmp_path):
    other = _run(tmp_path, "--model", "perceptron", "--no-export", "--seed", "1")
    assert not np.array_equal(_weights(other), _weights(perceptron))


def test_no_export_publishes_nothing(perceptron, root):
    assert (perceptron / "report.html").exists()
    assert not (root / "saved_models" / "digits-perceptron").exists()


@pytest.mark.parametrize(("batch_size", "steps"), [("1", 40), ("full", 1)])
def test_batch_size_sets_the_updates_of_an_epoch(tmp_path, batch_size, steps):
    folder = _run(
        tmp_path,
        *("--model", "perceptron", "--no-export", "--max-train-examples", "40"),
        *("--batch-size", batch_size),
    )
    with np.load(folder / "checkpoints" / "epoch-00001.npz") as arrays:
        scalars = [a for n, a in arrays.items() if n != "progress" and a.shape == ()]
    assert steps in scalars  # The optimizer's count of updates.
    timing = _read(folder, "metrics.json")["timing"]
    # Either way every example is seen once.
    assert timing["examples_per_second"] * timing["train_seconds"] == pytest.approx(40)


def test_early_stopping_goes_back_to_the_best_epoch(tmp_path):
    folder = _run(
        tmp_path,
        *("--model", "perceptron", "--no-export", "--epochs", "60"),
        # So fast that the loss rises now and then.
        *("--early-stopping", "1", "--learning-rate", "1"),
    )
    metrics = _read(folder, "metrics.json")
    with (folder / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert metrics["timing"]["epochs"] == len(losses) < 60
    assert losses[-1] > min(losses)
    # Trained in bfloat16 on some machines, measured in float32.
    assert metrics["validation"]["log_loss"] == pytest.approx(min(losses), rel=0.02)


def test_muon_average_and_augmented_test_run(tmp_path):
    flags = ("--model", "mlp", "--no-export", "--test-time-augmentation", "shift")
    plain = _run(tmp_path, *flags, "--optimizer", "muon")
    averaged = _run(tmp_path, *flags, "--optimizer", "muon", "--ema", "0.9")
    assert not np.allclose(_weights(plain), _weights(averaged))
    metrics = _read(averaged, "metrics.json")
    assert metrics["test_tta"]["num_examples"] == 360
    assert metrics["test_tta"]["log_loss"] != metrics["test"]["log_loss"]


def test_fast_cifar_net_starts_with_small_pictures_and_is_exported(tmp_path):
    flags = (
        *("--dataset", "photos", "--model", "fast_cifar_net", "--widths", "16 16 16"),
        *("--epochs", "10", "--small-share", "0.5", "--optimizer", "filter_muon"),
        *("--learning-rate", "0.1", "--flip", "--alternate-flip"),
        *("--test-time-augmentation", "six"),
    )
    flags = [part for flag in flags for part in flag.split()]
    folder = _run(tmp_path, *flags)
    metrics = _read(folder, "metrics.json")
    assert metrics["test"]["accuracy"] > 0.3  # Of nine photographs.
    assert metrics["test_tta"]["accuracy"] > 0.3
    (exported,) = (tmp_path / "saved_models" / "photos-fast_cifar_net").iterdir()
    assert check_saved_model(exported).ok


def test_small_pictures_are_refused_for_models_of_one_size():
    with pytest.raises(ValueError, match=r"`small_share` must .*small_share=0\.5"):
        classify_images.Config(model="convnet", small_share=0.5)


def test_option_that_the_model_does_not_take_is_refused_before_writing(tmp_path):
    with pytest.raises(ValueError, match=r"`dropout` is not an option .* perceptron"):
        _run(tmp_path, "--model", "perceptron", "--dropout", "0.5")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_folder_of_pictures_becomes_a_served_model(tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("dunkel", 40), ("weiß hell", 200)):
        (tmp_path / "bilder" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level, level + 50, (9, 7, 3)).astype("uint8")
            file = tmp_path / "bilder" / name / f"{i}.png"
            PIL.Image.fromarray(pixels).save(file)
    config = dataclasses.replace(
        _config(tmp_path, "--model", "mlp", "--epochs", "20", "--batch-size", "4"),
        dataset=f"folder:{tmp_path / 'bilder'}?size=8",
        max_train_examples=None,
    )
    folder = classify_images.run(config, console=_QUIET)
    assert _read(folder, "metrics.json")["test"]["accuracy"] == 1
    (export,) = (tmp_path / "saved_models").glob("folder-bilder*-mlp/1")
    labels = (export / "assets.extra" / "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["dunkel", "weiß hell"]
    signature = tf.saved_model.load(export).signatures["serve_bytes"]
    picture = (tmp_path / "bilder" / "weiß hell" / "3.png").read_bytes()
    answer = signature(image_bytes=tf.constant([picture]))
    assert answer["classes"].numpy()[0, np.argmax(answer["scores"])].decode() == (
        "weiß hell"
    )


@pytest.mark.slow
def test_refused_export_publishes_nothing(finished, tmp_path, monkeypatch):
    golden_requests = export_module._golden_requests

    def wrong_requests(*arguments):
        requests = golden_requests(*arguments)
        inputs, answer = requests["serve_bytes"]
        wrong = answer | {"scores": answer["scores"][:, ::-1]}
        return requests | {"serve_bytes": (inputs, wrong)}

    monkeypatch.setattr(export_module, "_golden_requests", wrong_requests)
    settings = _read(finished, "config.json")
    (tmp_path / "run").mkdir()
    for file in finished.iterdir():
        if file.is_file():
            (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    settings["saved_models_dir"] = str(tmp_path / "saved_models")
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(export_module.GateError, match=r"nothing was published.*scores"):
        classify_images.export(tmp_path / "run")
    assert not list((tmp_path / "saved_models").iterdir())


def test_resuming_a_finished_run_publishes_no_second_version(finished, root):
    base = root / "saved_models" / "digits-convnet"
    before = sorted(path.name for path in base.iterdir())
    config = _config(root, "--epochs", "2")
    assert classify_images.run(config, resume=finished, console=_QUIET) == finished
    assert sorted(path.name for path in base.iterdir()) == before
    assert f"{base}/" in (finished / "report.html").read_text()


def test_run_started_with_relative_paths_is_exported_from_anywhere(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    roots = ("--runs-dir", "r", "--saved-models-dir", "s")
    arguments = [*_SMOKE, *roots, "--model", "perceptron", "--no-export"]
    config = parse_config(classify_images, arguments)[0]
    folder = classify_images.run(config, console=_QUIET)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    published = classify_images.export(folder)
    assert published == tmp_path / "s" / "digits-perceptron" / "1"


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", ""])
def test_export_name_stays_below_its_root(name):
    with pytest.raises(ValueError, match=r"`export_name` must be a plain name"):
        classify_images.Config(export_name=name)


def test_shift_larger_than_the_pictures_leaves_no_run_behind(tmp_path):
    with pytest.raises(ValueError, match=r"`shift` .*8x8.*shift=99"):
        _run(tmp_path, "--shift", "99")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_run_on_the_jax_backend_is_exported_by_tensorflow(tmp_path):
    command = [sys.executable, "-m", "modelyard.pipelines.cli", "run"]
    roots = ("--runs-dir", tmp_path / "r", "--saved-models-dir", tmp_path / "s")
    done = subprocess.run(
        [*command, "classify-images", *_SMOKE, *roots, "--model", "mlp"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert check_saved_model(tmp_path / "s" / "digits-mlp").ok
    (environment,) = tmp_path.glob("r/*/*/*/environment.json")
    assert json.loads(environment.read_text())["backend"] == "jax"
