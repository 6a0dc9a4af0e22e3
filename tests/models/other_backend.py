"""Reloads and trains all models on this process's backend; see test_backends.py.

Writes what it finds to `report.json` in the folder given as the argument.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

folder = Path(sys.argv[1])
arrays = np.load(folder / "arrays.npz")
pixels, labels = arrays["pixels"], arrays["labels"]
report: dict = {
    "backend": keras.backend.backend(),
    "differences": {},
    "losses": {},
}


def compare(name):
    """Records how far the reloaded model's logits are from the saved ones."""
    model = keras.saving.load_model(folder / f"{name}.keras")
    difference = np.abs(model.predict(pixels, verbose=0) - arrays[name]).max()
    report["differences"][name] = float(difference)


# These have functions or layers of ours; the files of the others need nothing.
own = {"binary_step", "fast_cifar_net"}
for name in set(arrays) - {"pixels", "labels"} - own:
    compare(name)
report["ours_before"] = "modelyard.models" in sys.modules

before = set(sys.modules)
from modelyard.models import BUILDERS  # noqa: E402

imported = {name.split(".")[0] for name in set(sys.modules) - before}
report["imported"] = sorted(imported - sys.stdlib_module_names)
for name in own:
    compare(name)

options = json.loads((folder / "small.json").read_text())
for name, build in BUILDERS.items():
    keras.utils.set_random_seed(0)
    model = build(pixels.shape[1:], 3, **options.get(name, {}))
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(pixels, labels, batch_size=len(pixels), epochs=6, verbose=0)
    report["losses"][name] = history.history["loss"]

(folder / "report.json").write_text(json.dumps(report))
