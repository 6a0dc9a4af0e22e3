"""Runs of `transfer-images` on a tiny untrained backbone.

What all pipelines do is in test_contract.
"""

import io
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from rich.console import Console

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.images.pipeline import plan_epochs
from modelyard.data.settings import make_config
from modelyard.models.vision.transfer_classifier import BACKBONES
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.common import frozen_features
from modelyard.pipelines.common.command import parse_config
from modelyard.pipelines.transfer_images import steps
from modelyard.pipelines.transfer_images.config import MODELS, Config

from .conftest import DIGITS, arguments_in

pytestmark = pytest.mark.slow

_TINY = (
    *(*DIGITS, "--weights", "none", "--image-size", "32"),
    *("--max-train-examples", "64"),
)


def _config(root, *flags):
    arguments = arguments_in(root, *_TINY, *flags)
    return parse_config(find_pipeline("transfer-images"), arguments)[0]


def _run(config, resume=None):
    """The folder of a run, and what it printed."""
    text = io.StringIO()
    console = Console(file=text, width=200)
    pipeline = find_pipeline("transfer-images").load()
    return pipeline.run(config, resume=resume, console=console), text.getvalue()


def _read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def finished(sample):
    """A run of both phases with a learning curve and an export."""
    return sample("transfer-images").folder


def test_names_of_the_models_are_those_of_the_backbones():
    assert tuple(BACKBONES) == MODELS


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
    for words in ("Phases", "Learning curve", "Explanations"):
        assert f"<h2>{words}</h2>" in page
    assert page.count('alt="heat map"') == 24
    assert "(kept)" in page


def test_features_are_not_left_behind(finished):
    assert not (finished / "features").exists()


def test_export_explains(sample):
    run = sample("transfer-images")
    loaded = tf.saved_model.load(str(run.export))
    assert set(loaded.signatures) == {
        *("serving_default", "serve_bytes", "classify", "embed", "explain"),
    }
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    answer = loaded.signatures["explain"](pixels=tf.constant(pixels))
    model = keras.models.load_model(run.folder / "model.keras")
    np.testing.assert_allclose(
        answer["scores"], keras.ops.softmax(model(pixels)), atol=1e-5
    )
    assert answer["heat_maps"].shape == (3, 8, 8)
    assert answer["heat_maps"].dtype == tf.float32
    assert "`explain`" in (run.export / "assets.extra" / "MODEL_CARD.md").read_text()


def test_fine_tuning_leaves_lower_blocks_and_all_normalisation_alone(sample):
    run = sample("transfer-images")
    config, _ = parse_config(find_pipeline("transfer-images"), run.arguments)
    splits = steps.load_splits(config)
    started = steps.build_frozen(config, splits).variables
    with np.load(run.folder / "checkpoints" / "epoch-00002.npz") as arrays:
        changed = {
            variable.path
            for i, variable in enumerate(started)
            if not np.array_equal(variable.numpy(), arrays[f"{i:05d}"])
        }
    changed = {path for path in changed if "logits" not in path}
    last = BACKBONES[config.model].blocks[-1]
    assert any(last in path for path in changed)
    assert not any("norm" in path for path in changed)
    assert not any(f"block{i}_" in path for path in changed for i in range(15))


@pytest.mark.parametrize(
    ("epochs", "count", "planned"),
    [(3, 160, (5, 10)), (3, 1000, (3, 62)), (3, 10, (50, 1)), (0, 10, (0, 1))],
)
def test_few_examples_are_seen_in_more_epochs(epochs, count, planned):
    plan = plan_epochs(count, epochs=epochs, batch_size=16, min_updates=50)
    assert plan == planned


def test_validation_is_at_most_a_quarter_of_the_labels(tmp_path):
    config = _config(tmp_path, "--max-train-examples", "80")
    splits = steps.load_splits(config)
    assert (len(splits.train), len(splits.validation)) == (80, 20)
    assert set(splits.validation.labels) == set(range(10))
    config = _config(tmp_path, "--max-train-examples", "20")
    # One of each class is needed.
    assert len(steps.load_splits(config).validation) == 10


@pytest.fixture(scope="module")
def head_alone(tmp_path_factory):
    """A run without fine-tuning, and what it printed."""
    root = tmp_path_factory.mktemp("head")
    return _run(_config(root, "--epochs", "0", "--no-export"))


def test_head_alone_needs_no_epochs(head_alone):
    folder, output = head_alone
    metrics = _read(folder)
    assert metrics["kept"] == "frozen"
    assert "test_fine_tuned" not in metrics
    assert metrics["timing"]["epochs"] == 0
    assert "kept: frozen backbone" in output
    assert "<h2>Training</h2>" not in (folder / "report.html").read_text()


def test_run_interrupted_while_fitting_the_head_keeps_its_features(
    head_alone, tmp_path, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    config = _config(tmp_path, "--epochs", "0", "--no-export")
    with monkeypatch.context() as patch:
        patch.setattr(frozen_features, "fit_linear_head", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _run(config)
    (folder,) = tmp_path.glob("runs/*/*/*")
    assert not (folder / "frozen.npz").exists()
    _, output = _run(config, resume=folder)
    assert "features of train" not in output
    np.testing.assert_array_equal(_weights(folder), _weights(head_alone[0]))
    assert _read(folder)["timing"]["feature_seconds"] > 0


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
    # The gate has checked it.
    assert list((tmp_path / "saved_models").glob("folder-pictures*/1"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "mobilnet_v2"}, r"`model` .*Did you mean mobilenet_v2"),
        ({"image_size": 16}, r"`image_size` must be at least 32.*image_size=16"),
        ({"unfreeze_blocks": -1}, r"`unfreeze_blocks` .*unfreeze_blocks=-1"),
        ({"learning_curve": (0,)}, r"`learning_curve` .*at least 1.*\(0,\)"),
        ({"rate_decay": 0.0}, r"`rate_decay` must be in \(0, 1\].*rate_decay=0.0"),
        ({"epochs": -1}, r"`epochs` must be at least 0.*epochs=-1"),
    ],
)
def test_settings_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_config(Config, fields)


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
