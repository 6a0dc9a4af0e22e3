"""Models saved on this backend reload, predict and train on another one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from modelyard.models import BUILDERS, build_mlp
from modelyard.models.vision.transfer_classifier import build_transfer_classifier

BACKEND = keras.backend.backend()
OTHER = "tensorflow" if BACKEND == "jax" else "jax"
SMALL: dict = {
    "mlp": {"hidden_units": (32, 16)},
    "residual_cnn": {"blocks_per_stage": 1, "widths": (8, 16)},
    "wide_resnet": {"depth": 10, "width": 1},
}
SCRIPT = Path(__file__).with_name("other_backend.py")
pytestmark = pytest.mark.slow


def _fill(model, rng):
    """Sets the weights that start as zeros and ones, as training would."""
    for weight in model.weights:
        if weight.name in {"gamma", "beta", "bias", "moving_mean"}:
            weight.assign(rng.normal(0.5, 0.1, weight.shape))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if importlib.util.find_spec(OTHER) is None:
        pytest.skip(f"needs {OTHER}")
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 12, 12, 1), "uint8")
    arrays = {"pixels": pixels, "labels": rng.integers(0, 3, 24)}
    models = {
        name: build(pixels.shape[1:], 3, **SMALL.get(name, {}))
        for name, build in BUILDERS.items()
    }
    models["binary_step"] = build_mlp(pixels.shape[1:], 3, activation="binary_step")
    models["transfer"] = build_transfer_classifier(
        "efficientnet_lite0", pixels.shape[1:], 3, image_size=40, weights=None
    )
    for name, model in models.items():
        _fill(model, rng)
        model.save(folder / f"{name}.keras")
        arrays[name] = model.predict(pixels, verbose=0)
    (folder / "small.json").write_text(json.dumps(SMALL))
    np.savez(folder / "arrays.npz", **arrays)
    subprocess.run(
        [sys.executable, SCRIPT, folder],
        env={**os.environ, "KERAS_BACKEND": OTHER},
        check=True,
        timeout=300,
    )
    return json.loads((folder / "report.json").read_text())


def test_reloaded_models_predict_alike_on_the_other_backend(report):
    assert report["backend"] == OTHER
    assert report["differences"].keys() == {*BUILDERS, "binary_step", "transfer"}
    assert max(report["differences"].values()) < 1e-4, report["differences"]


def test_reloading_standard_layers_needs_none_of_our_code(report):
    assert not report["ours_before"]


def test_importing_the_builders_imports_nothing_else(report):
    assert report["imported"] == ["modelyard"]


def test_every_model_trains_on_the_other_backend(report):
    assert report["losses"].keys() == BUILDERS.keys()
    for losses in report["losses"].values():
        assert losses[-1] < losses[0]
