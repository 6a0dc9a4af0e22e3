"""Whole runs of transfer learning, in this process, on a tiny untrained backbone."""

import io
import json
import subprocess
import sys
import threading

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from rich.console import Console

from modelyard.models.vision.transfer_classifier import BACKBONES
from modelyard.pipelines import frozen_phase, transfer_images, transfer_training
from modelyard.pipelines.configs import parse_config
from modelyard.serving.check.saved_model import check_saved_model

_TINY = (
    *("--dataset", "digits", "--recipe", "smoke", "--weights", "none"),
    *("--image-size", "32", "--max-train-examples", "64"),
)
_TUNED = (
    *("--epochs", "2", "--unfreeze-blocks", "1", "--batch-size", "16", "--flip"),
    *("--min-updates", "0"),
    *("--learning-curve", "20"),
)
_SECONDS = 240  # A loaded machine needs a while.


def _config(root, *flags):
    roots = ("--runs-dir", root / "runs", "--saved-models-dir", root / "saved_models")
    arguments = [str(a) for a in (*_TINY, *roots, *flags)]
    return parse_config(transfer_images, arguments)[0]


def _run(config, resume=None):
    """The folder of a run, and what it printed."""
    text = io.StringIO()
    console = Console(file=text, width=200)
    return transfer_images.run(config, resume=resume, console=console), text.getvalue()


def _read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def finished(root):
    """A run of both phases with a learning curve and an export."""
    return _run(_config(root, *_TUNED))[0]


def test_names_of_the_backbones_are_those_of_the_models():
    assert tuple(BACKBONES) == transfer_images.MODELS


def test_run_measures_both_phases_and_keeps_the_better_one(finished):
    metrics = _read(finished)
    phases = {
        name: metrics[f"validation_{name}"]["accuracy"]
        for name in ("frozen", "fine_tuned")
    }
    assert phases[metrics["kept"]] == max(phases.values())
    for split, count in (("test", 360), ("validation", 16)):
        assert metrics[split] == metrics[f"{split}_{metrics['kept']}"]
        low, high = metrics[split]["accuracy_interval"]
        assert low < metrics[split]["accuracy"] < high
        assert metrics[split]["num_examples"] == count
    assert metrics["test_frozen"]["accuracy"] > 0.3  # Random features are features.
    timing = metrics["timing"]
    assert timing["epochs"] == 2
    assert timing["train_seconds"] == pytest.approx(
        timing["frozen_seconds"] + timing["fine_tune_seconds"]
    )


def test_metrics_are_those_of_the_saved_model(finished):
    measured = transfer_images.evaluate(finished)
    assert measured["num_errors"] == _read(finished)["test"]["num_errors"]


def test_learning_curve_ends_with_all_labels(finished):
    points = _read(finished)["learning_curve"]
    assert [point["labels"] for point in points] == [20, 64]
    for point in points:
        assert point["scratch"]["num_examples"] == 360
        assert point["scratch"]["accuracy"] > 0.2  # It has learned something.
    # The same examples, the same head.
    everything = _read(finished)["test_frozen"]
    assert points[-1]["frozen"]["num_errors"] == everything["num_errors"]


def test_report_shows_phases_learning_curve_and_heat_maps(finished):
    page = (finished / "report.html").read_text()
    for words in ("Phases", "Learning curve", "What the predictions rest on"):
        assert f"<h2>{words}</h2>" in page
    assert page.count("its heat map") == 24
    assert "(kept)" in page


def test_features_are_not_left_behind(finished):
    assert not (finished / "features").exists()


def test_export_passes_the_check_and_explains(finished, root):
    export = root / "saved_models" / "digits-efficientnet_lite0" / "1"
    result = check_saved_model(export)
    assert result.ok, [rule for rule in result.rules if rule.ok is False]
    loaded = tf.saved_model.load(export)
    assert set(loaded.signatures) == {
        *("serving_default", "serve_bytes", "classify", "embed", "explain"),
    }
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    answer = loaded.signatures["explain"](pixels=tf.constant(pixels))
    model = keras.models.load_model(finished / "model.keras")
    np.testing.assert_allclose(
        answer["scores"], keras.ops.softmax(model(pixels)), atol=1e-5
    )
    assert answer["heat_maps"].shape == (3, 8, 8)
    assert answer["heat_maps"].dtype == tf.float32
    assert "`explain`" in (export / "assets.extra" / "MODEL_CARD.md").read_text()


def test_fine_tuning_leaves_lower_blocks_and_all_normalisation_alone(finished, root):
    config = _config(root, *_TUNED)
    splits = transfer_training.load_splits(config)
    started = transfer_training.build_frozen(config, splits).variables
    with np.load(finished / "checkpoints" / "epoch-00002.npz") as arrays:
        changed = {
            variable.path
            for i, variable in enumerate(started)
            if not np.array_equal(variable.numpy(), arrays[f"{i:05d}"])
        }
    changed = {path for path in changed if "logits" not in path}
    last = BACKBONES[config.backbone].blocks[-1]
    assert any(last in path for path in changed)
    assert not any("norm" in path for path in changed)
    assert not any(f"block{i}_" in path for path in changed for i in range(15))


@pytest.mark.parametrize(
    ("epochs", "count", "planned"),
    [("3", 160, (5, 10)), ("3", 1000, (3, 62)), ("3", 10, (50, 1)), ("0", 10, (0, 1))],
)
def test_few_examples_are_passed_over_more_often(tmp_path, epochs, count, planned):
    flags = ("--min-updates", "50", "--batch-size", "16", "--epochs", epochs)
    config = _config(tmp_path, *flags)
    assert transfer_training.plan_epochs(config, count) == planned


def test_validation_is_at_most_a_quarter_of_the_labels(tmp_path):
    config = _config(tmp_path, "--max-train-examples", "80")
    splits = transfer_training.load_splits(config)
    assert (len(splits.train), len(splits.validation)) == (80, 20)
    assert set(splits.validation.labels) == set(range(10))
    config = _config(tmp_path, "--max-train-examples", "20")
    # One of each class is needed.
    assert len(transfer_training.load_splits(config).validation) == 10


def test_interrupted_run_goes_on_with_the_features_it_has(
    finished, tmp_path, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    # The learning curve makes no difference to the weights.
    config = _config(tmp_path, *_TUNED[:-2], "--no-export")
    with monkeypatch.context() as patch:
        patch.setattr(frozen_phase, "fit_linear_head", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _run(config)
    (folder,) = tmp_path.glob("runs/*/*/*")
    _, output = _run(config, resume=folder)
    assert "features of train" not in output
    np.testing.assert_array_equal(_weights(folder), _weights(finished))
    assert _read(folder)["timing"]["feature_seconds"] > 0


def test_head_alone_needs_no_epochs(tmp_path):
    folder, output = _run(_config(tmp_path, "--epochs", "0", "--no-export"))
    metrics = _read(folder)
    assert metrics["kept"] == "frozen"
    assert "test_fine_tuned" not in metrics
    assert metrics["timing"]["epochs"] == 0
    assert "kept: frozen" in output
    assert "<h2>Training</h2>" not in (folder / "report.html").read_text()


@pytest.mark.slow
def test_folder_with_twenty_images_a_class_is_read_at_the_size_of_the_backbone(
    tmp_path,
):
    rng = np.random.default_rng(0)
    for name, level in (("dark", 30), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level, level + 50, (70, 90, 3)).astype("uint8")
            PIL.Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    flags = ("--dataset", f"folder:{tmp_path / 'pictures'}", "--image-size", "40")
    folder, _ = _run(_config(tmp_path, *flags))
    assert _read(folder)["test"]["accuracy"] == 1
    model = keras.models.load_model(folder / "model.keras")
    assert model.input_shape == (None, 40, 40, 3)
    (export,) = (tmp_path / "saved_models").glob("folder-pictures*/1")
    assert check_saved_model(export).ok


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "mobilnet_v2"}, r"`backbone` .*Did you mean mobilenet_v2"),
        ({"image_size": 16}, r"`image_size` must be at least 32.*image_size=16"),
        ({"unfreeze_blocks": -1}, r"`unfreeze_blocks` .*unfreeze_blocks=-1"),
        ({"learning_curve": (0,)}, r"`learning_curve` .*at least 1.*\(0,\)"),
        ({"rate_decay": 0.0}, r"`rate_decay` must be in \(0, 1\].*rate_decay=0.0"),
        ({"epochs": -1}, r"`epochs` must be at least 0.*epochs=-1"),
    ],
)
def test_settings_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        transfer_images.Config(**fields)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--unfreeze-blocks", "17"), r"`unfreeze_blocks` .*at most 16.*blocks=17"),
        (("--learning-curve", "65"), r"`learning_curve` .*to 64,.*\(65,\)"),
        (("--learning-curve", "9"), r"`learning_curve` .*from 10,.*\(9,\)"),
        (("--shift", "8"), r"`shift` .*8x8.*shift=8"),
        (("--weights", "/nowhere.pth"), r"/nowhere\.pth"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, flags, message
):
    with pytest.raises((ValueError, OSError), match=message):
        _run(_config(tmp_path, *flags))
    assert not list(tmp_path.iterdir())


def _start(*arguments):
    """A process of the command line; standard output and errors together."""
    return subprocess.Popen(
        [sys.executable, "-m", "modelyard.pipelines.cli", "run", "transfer-images"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _kill_at(text, *arguments):
    """Exit code and output of a process, killed when it has printed `text`."""
    process = _start(*arguments)
    watchdog = threading.Timer(_SECONDS, process.kill)
    watchdog.start()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text and text in line:
            process.kill()
            break
    process.stdout.close()
    watchdog.cancel()
    return process.wait(), "".join(lines)


@pytest.mark.slow
def test_run_killed_in_both_phases_ends_with_the_same_weights(finished, tmp_path):
    roots = ("--runs-dir", tmp_path / "runs", "--saved-models-dir", tmp_path / "s")
    arguments = [*_TINY, *_TUNED, *roots, "--no-export"]
    code, output = _kill_at("features of train:", *arguments)
    assert code < 0, output
    (folder,) = tmp_path.glob("runs/*/*/*")
    assert not (folder / "frozen.npz").exists()
    code, output = _kill_at("epoch 1/2", "--resume", folder)
    assert code < 0, output
    code, output = _kill_at(None, "--resume", folder)
    assert code == 0, output
    np.testing.assert_array_equal(_weights(folder), _weights(finished))
