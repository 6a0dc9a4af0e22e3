"""Text models saved on this backend reload, predict and train on another one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from modelyard.models import (
    TEXT_BUILDERS,
    build_language_model_classifier,
    build_recurrent_language_model,
)

from .text_cases import CASES

OTHER = "tensorflow" if keras.backend.backend() == "jax" else "jax"
SCRIPT = Path(__file__).with_name("other_backend_text.py")
pytestmark = pytest.mark.slow


def _models():
    """Every case, and the language models."""
    for name, (family, options) in CASES.items():
        yield name, TEXT_BUILDERS[family](30, 3, **options)
    sizes = {"embedding_dim": 4, "units": 5}
    yield "language_model", build_recurrent_language_model(30, **sizes)
    yield "classifier", build_language_model_classifier(30, 3, **sizes)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if importlib.util.find_spec(OTHER) is None:
        pytest.skip(f"needs {OTHER}")
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 30, (8, 11), "int32")
    tokens[np.arange(11) >= rng.integers(1, 12, (8, 1))] = 0
    arrays = {"tokens": tokens, "labels": rng.integers(0, 3, 8)}
    for name, model in _models():
        for weight in model.weights:
            # What starts as zeros, as training would leave it.
            if weight.name in {"table", "bias", "query", "output_bias"}:
                weight.assign(rng.normal(0.5, 0.3, weight.shape))
        model.save(folder / f"{name}.keras")
        arrays[name] = keras.ops.convert_to_numpy(model(tokens))
    np.savez(folder / "arrays.npz", **arrays)
    subprocess.run(
        [sys.executable, SCRIPT, folder],
        env={**os.environ, "KERAS_BACKEND": OTHER},
        check=True,
        timeout=600,
    )
    return json.loads((folder / "report.json").read_text())


def test_reloaded_text_models_predict_alike_on_the_other_backend(report):
    assert report["backend"] == OTHER
    expected = {*CASES, "language_model", "classifier"}
    assert report["differences"].keys() == expected
    assert max(report["differences"].values()) < 1e-4, report["differences"]


def test_text_models_train_on_the_other_backend(report):
    assert len(report["losses"]) == 5
    for losses in report["losses"].values():
        assert losses[-1] < losses[0]
