"""Runs models on the Keras backend of this process; see test_backends.py.

Reads `plan.json` in the folder given as argument; writes `report.json` there.
"""

import importlib
import json
import sys
from pathlib import Path

import keras
import numpy as np

FOLDER = Path(sys.argv[1])
PLAN = json.loads((FOLDER / "plan.json").read_text())
ARRAYS = np.load(FOLDER / "arrays.npz")
REPORT: dict = {"backend": keras.backend.backend(), "reloaded": {}, "built": []}


def _inputs(name):
    """Returns the batch of that model; a dictionary for several inputs."""
    stem = f"{name}_inputs"
    if stem in ARRAYS:
        return ARRAYS[stem]
    keys = [key for key in ARRAYS if key.startswith(f"{stem}.")]
    return {key.removeprefix(f"{stem}."): ARRAYS[key] for key in keys}


def _reload(name):
    """Records how far the outputs are from those on the saving backend.

    Outputs above 1, such as pixels, are compared by their relative difference.
    """
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    outputs = model.predict(_inputs(name), verbose=0)
    expected = ARRAYS[f"{name}_outputs"]
    difference = np.abs(outputs - expected).max() / max(1, np.abs(expected).max())
    REPORT["reloaded"][name] = float(difference)


def _train(name, model, *, steps):
    """Trains towards random outputs; reports losses and weights that never change."""
    inputs, outputs = _inputs(name), ARRAYS[f"{name}_outputs"]
    goal = np.random.default_rng(1).normal(size=outputs.shape)
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    before = model.get_weights()
    losses = [float(model.train_on_batch(inputs, goal)) for _ in range(steps)]
    trained = {weight.path for weight in model.trainable_weights}
    unchanged = [
        weight.path
        for weight, old in zip(model.weights, before, strict=True)
        if weight.path in trained
        and np.array_equal(old, keras.ops.convert_to_numpy(weight))
    ]
    return {"losses": losses, "unchanged": unchanged}


def _save_trained(name, model):
    """Saves the model, and its outputs for a check on another backend."""
    file = FOLDER / f"trained_{name}.keras"
    model.save(file)
    inputs = _inputs(name)
    outputs, again = (
        keras.ops.convert_to_numpy(each(inputs, training=False))
        for each in (model, keras.saving.load_model(file))
    )
    np.save(file.with_suffix(".npy"), outputs)
    return float(np.abs(outputs - again).max() / max(1, np.abs(outputs).max()))


for case in PLAN["standard"]:
    _reload(case)
REPORT["ours_before"] = "modelyard.models" in sys.modules

loaded = set(sys.modules)
importlib.import_module("modelyard.models")
imported = {name.split(".")[0] for name in set(sys.modules) - loaded}
REPORT["imported"] = sorted(imported - sys.stdlib_module_names)

from cases import CASES  # noqa: E402

for case, options in PLAN["models"].items():
    if case not in PLAN["standard"]:
        _reload(case)
    # Fails unless the builder creates the weights of the file.
    CASES[case](**options).load_weights(FOLDER / f"{case}.keras")
    REPORT["built"].append(case)
REPORT["training"] = {}
REPORT["reloaded_trained"] = {}
for case in PLAN["train"]:
    keras.utils.set_random_seed(0)
    trained = CASES[case]()
    REPORT["training"][case] = _train(case, trained, steps=PLAN["steps"])
    if PLAN["save_trained"]:
        REPORT["reloaded_trained"][case] = _save_trained(case, trained)
(FOLDER / "report.json").write_text(json.dumps(REPORT))
