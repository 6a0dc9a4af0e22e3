"""Reloads and trains text models on this process's backend; see test_text_backends.py.

Writes what it finds to `report.json` in the folder given as the argument.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from text_cases import CASES

from modelyard.models import TEXT_BUILDERS

folder = Path(sys.argv[1])
arrays = np.load(folder / "arrays.npz")
tokens, labels = arrays["tokens"], arrays["labels"]
report: dict = {
    "backend": keras.backend.backend(),
    "differences": {},
    "losses": {},
}

for name in set(arrays) - {"tokens", "labels"}:
    model = keras.saving.load_model(folder / f"{name}.keras")
    logits = keras.ops.convert_to_numpy(model(tokens))
    difference = np.abs(logits - arrays[name]).max()
    report["differences"][name] = float(difference)

# One of each builder, and what is only in some of them.
for name in ("ngram", "cnn", "gru_mean", "lstm_max", "transformer"):
    keras.utils.set_random_seed(0)
    family, options = CASES[name]
    model = TEXT_BUILDERS[family](30, 3, **options)
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(tokens, labels, epochs=5, verbose=0)
    report["losses"][name] = history.history["loss"]

(folder / "report.json").write_text(json.dumps(report))
