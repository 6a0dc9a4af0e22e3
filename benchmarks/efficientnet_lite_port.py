"""Compares our EfficientNet-Lite0 with the PyTorch network of the same weights.

    python benchmarks/efficientnet_lite_port.py --torch-python PYTHON

Both see the same images: photographs from scikit-image and scikit-learn, and noise in
several sizes. Some sizes are odd, because that is where paddings differ. PYTHON is a
Python with torch and efficientnet-lite-pytorch (`pip install --no-deps`); the Python
that runs this script needs the extra `samples`. The script fails if logits differ by
more than the bound.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
import skimage.data
import sklearn.datasets
from machine import describe_machine

from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.torch_weights import (
    find_efficientnet_lite_weights,
    load_efficientnet_lite_weights,
    read_torch_weights,
)

# Relative to the largest logit in the batch.
BOUND = 1e-4
NOISE_SIDES = (224, 193, 160, 97)
PEER = Path(__file__).parent / "peers" / "torch_efficientnet_lite.py"
DEFAULT_OUTPUT = Path(__file__).parent / "results" / "efficientnet_lite_port.json"


def main() -> None:
    """Runs both networks, prints the differences and writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch-python", default=sys.executable, help="default: this Python"
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="JSON file to write"
    )
    arguments = parser.parse_args()

    inputs = {"photographs, 224": photographs(224)}
    rng = np.random.default_rng(0)
    for side in NOISE_SIDES:
        noise = rng.uniform(0, 255, (4, side, side, 3)).astype(np.float32)
        inputs[f"noise, {side}"] = noise
    weights = find_efficientnet_lite_weights()
    theirs = run_peer(arguments.torch_python, inputs, weights)

    state = read_torch_weights(weights)
    alike = all(np.array_equal(theirs[f"state/{k}"], v) for k, v in state.items())
    if not alike or len(state) != sum(name.startswith("state/") for name in theirs):
        raise SystemExit("The weights were not read as PyTorch reads them.")
    cases = {}
    for name, pixels in inputs.items():
        ours = keras_logits(pixels, state)
        difference = float(np.abs(ours - theirs[name]).max())
        largest = float(np.abs(theirs[name]).max())
        labels = np.argmax(ours, axis=1), np.argmax(theirs[name], axis=1)
        cases[name] = {
            "largest_difference": difference,
            "largest_logit": largest,
            "relative_difference": difference / largest,
            "same_labels": bool(np.array_equal(*labels)),
        }
        print(f"{name:20s} {difference / largest:.1e} of the largest logit")
    results = {
        "bound_of_relative_difference": BOUND,
        "cases": cases,
        "arrays_read_identically": len(state),
        "machine": {**describe_machine(), "torch": str(theirs["torch_version"])},
    }
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"Written to {arguments.output}")
    if max(case["relative_difference"] for case in cases.values()) > BOUND:
        raise SystemExit(f"The logits differ by more than {BOUND:.0e}.")


def photographs(side: int) -> np.ndarray:
    """Returns the centres of four photographs, float32 `(4, side, side, 3)`."""
    pictures = [
        skimage.data.chelsea(),
        skimage.data.coffee(),
        skimage.data.rocket(),
        sklearn.datasets.load_sample_image("flower.jpg"),
    ]
    squares = []
    for pixels in pictures:
        length = min(pixels.shape[:2])
        top, left = ((size - length) // 2 for size in pixels.shape[:2])
        square = PIL.Image.fromarray(pixels[top : top + length, left : left + length])
        squares.append(np.asarray(square.resize((side, side)), np.float32))
    return np.stack(squares)


def run_peer(
    python: str, inputs: dict[str, np.ndarray], weights: Path
) -> dict[str, np.ndarray]:
    """Runs the PyTorch network in its own process; returns the arrays it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        pixels, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(pixels, **inputs)  # type: ignore[arg-type]
        subprocess.run([python, PEER, pixels, weights, outputs], check=True)
        return dict(np.load(outputs))


def keras_logits(pixels: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Computes the logits `(n, 1000)` with our network."""
    model = build_efficientnet_lite(pixels.shape[1:])
    load_efficientnet_lite_weights(model, state)
    return model.predict(pixels, verbose=0)


if __name__ == "__main__":
    main()
