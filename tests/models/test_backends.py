"""Models saved on this backend reload, predict and train on others."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from modelyard import models

from .cases import CASES, fill, inputs_of, predict

BACKENDS = ("tensorflow", "jax", "torch")
OTHER = "tensorflow" if keras.backend.backend() == "jax" else "jax"
SCRIPT = Path(__file__).with_name("other_backend.py")
# The smallest model of each family. Zeros build faster: jax would compile the random
# initializer of each kernel shape, and the saved weights replace the values anyway.
_ZEROS = {"initializer": "zeros"}
QUICK: dict[str, dict] = {
    "perceptron": _ZEROS,
    "mlp": _ZEROS,
    "binary_step": _ZEROS,
    "lenet": _ZEROS,
    "convnet": _ZEROS,
    "residual_cnn": _ZEROS,
    "wide_resnet": _ZEROS,
    "fast_cifar_net": {},
    "image_autoencoder": {},
    "noise_map_denoiser": {},
    "blind_denoiser": {},
    "denoising_autoencoder": {},
    "super_resolver": {},
    "palette_colorizer": {},
    "residual_discriminator": {"widths": (4,)},
    "diffusion_unet": {},
    "ngram": {},
    "cnn_one_width": _ZEROS,
    "gru_mean": {},
    "lstm_max": {},
    "transformer_attention": {},
    "fourier": {},
    "language_model": {"num_layers": 1},
    "language_model_classifier": {"num_layers": 1},
}
# Models built only from layers of Keras.
STANDARD = ("perceptron", "mlp", "lenet", "convnet", "residual_cnn", "wide_resnet")
# They have a custom gradient, layers with a TensorFlow variant, and a sparse table.
TRAINED = ("lstm_max", "fast_cifar_net", "ngram")
# Its gradient is zero by design.
UNTRAINABLE = {"binary_step"}


def _run(folder, backend, plan, **environment):
    """Saves models, runs the script on them with `backend`, and returns its report."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    arrays = {}
    for name, options in plan["models"].items():
        keras.utils.set_random_seed(0)
        model = CASES[name](**options)
        fill(model)
        model.save(folder / f"{name}.keras")
        inputs = inputs_of(name)
        if isinstance(inputs, dict):
            arrays |= {f"{name}_inputs.{key}": inputs[key] for key in inputs}
        else:
            arrays[f"{name}_inputs"] = inputs
        arrays[f"{name}_outputs"] = predict(model, inputs)
        if name != "next_word_trainer":  # It outputs one number per batch.
            # A model that ignored its input would agree on every backend.
            assert np.ptp(arrays[f"{name}_outputs"], axis=0).max() > 1e-4, name
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "plan.json").write_text(json.dumps(plan))
    subprocess.run(
        [sys.executable, SCRIPT, folder],
        env={**os.environ, "KERAS_BACKEND": backend, **environment},
        check=True,
        timeout=900,
    )
    report = json.loads((folder / "report.json").read_text())
    assert report["backend"] == backend
    return report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    plan = {
        "models": QUICK,
        "standard": STANDARD,
        "train": TRAINED,
        "steps": 3,
        "save_trained": False,
    }
    folder = tmp_path_factory.mktemp("models")
    # Optimising the code would take longer than running it.
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
    return _run(folder, OTHER, plan, XLA_FLAGS=flags)


@pytest.mark.slow
def test_models_of_every_family_predict_alike_on_the_other_backend(report):
    assert report["reloaded"].keys() == QUICK.keys() == set(report["built"])
    assert max(report["reloaded"].values()) < 1e-4, report["reloaded"]


@pytest.mark.slow
def test_reloading_standard_layers_needs_none_of_our_code(report):
    assert not report["ours_before"]


@pytest.mark.slow
def test_importing_the_builders_imports_nothing_else(report):
    assert report["imported"] == ["modelyard"]


@pytest.mark.slow
def test_representative_models_train_on_the_other_backend(report):
    assert report["training"].keys() == set(TRAINED)
    for name, training in report["training"].items():
        assert training["losses"][-1] < training["losses"][0], name
        assert not training["unchanged"], name


def test_every_builder_has_a_case():
    builders = {name for name in models.__all__ if name.startswith("build_")}
    tried = {getattr(case, "func", None) for case in CASES.values()}
    tried = {build.__name__ for build in tried if build}
    # These are called by functions in `CASES`, the last by `transfer`.
    assert builders - tried == {
        "build_blind_denoiser",
        "build_next_word_trainer",
        "build_picture_colorizer",
        "build_efficientnet_lite",
    }


@pytest.fixture(scope="module", params=BACKENDS)
def sweep(request, tmp_path_factory):
    """Folder and report of a process that ran every model on one backend."""
    plan = {
        "models": {name: {} for name in CASES},
        "standard": [],
        "train": list(CASES),
        # The first step of a kernel of zeros has no gradient for those before it.
        "steps": 2,
        "save_trained": True,
    }
    folder = tmp_path_factory.mktemp(request.param)
    return folder, _run(folder, request.param, plan)


@pytest.mark.full
def test_every_model_predicts_alike_on_every_backend(sweep):
    _, report = sweep
    assert report["reloaded"].keys() == CASES.keys() == set(report["built"])
    assert max(report["reloaded"].values()) < 1e-4, report["reloaded"]


@pytest.mark.full
def test_every_model_trains_on_every_backend(sweep):
    _, report = sweep
    assert report["training"].keys() == CASES.keys()
    for name, training in report["training"].items():
        assert np.isfinite(training["losses"]).all(), name
        assert not training["unchanged"] or name in UNTRAINABLE, training


@pytest.mark.full
def test_every_trained_model_reloads_there_and_here(sweep):
    folder, report = sweep
    assert report["reloaded_trained"].keys() == CASES.keys()
    assert max(report["reloaded_trained"].values()) < 1e-6
    for name in CASES:
        model = keras.saving.load_model(folder / f"trained_{name}.keras")
        expected = np.load(folder / f"trained_{name}.npy")
        np.testing.assert_allclose(
            predict(model, inputs_of(name)),
            expected,
            rtol=1e-4,
            atol=1e-4,
            err_msg=name,
        )
