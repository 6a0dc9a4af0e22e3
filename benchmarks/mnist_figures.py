"""MNIST: accuracy of every model over seeds, and time beside the Keras example.

    python benchmarks/mnist_figures.py --figures models fast best

Every training runs in a process of its own; trainings whose times are compared run
in turn. The test split is the official one, validation is cut from train. Results
are merged into benchmarks/results/mnist.json, one entry a figure.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe_machine

_HERE = Path(__file__).parent
_MODELS = {
    "perceptron": ["--model", "perceptron"],
    "mlp": ["--model", "mlp"],
    "lenet": ["--model", "lenet"],
}
_FAST = {
    "convnet_fast": ["--model", "convnet"],
    "convnet_fast_2_epochs": [
        *("--model", "convnet", "--epochs", "2"),
        *("--test-time-augmentation", "shift"),
    ],
    "convnet_fast_1_epoch": ["--model", "convnet", "--epochs", "1"],
}
_BEST = {"convnet_best": ["--model", "convnet", "--recipe", "best"]}
_PEER = "keras_io_mnist_convnet"


def main():
    """Measures the figures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--figures", nargs="+", choices=["models", "fast", "best"], required=True
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--peer-runs", type=int, default=3, help="of the first seeds; default: 3"
    )
    parser.add_argument("--output", type=Path, default=_HERE / "results" / "mnist.json")
    arguments = parser.parse_args()
    jobs = {}
    for name, group in (("models", _MODELS), ("fast", _FAST), ("best", _BEST)):
        if name in arguments.figures:
            jobs |= group
    records = {name: [] for name in jobs}
    if "fast" in arguments.figures:
        records[_PEER] = []
    for seed in range(arguments.seeds):  # In turn: all of a seed, then the next.
        for name in records:
            if name == _PEER and seed >= arguments.peer_runs:
                continue
            one = _peer(seed) if name == _PEER else _ours(jobs[name], seed)
            records[name].append({"seed": seed, **one})
            print(name, records[name][-1], flush=True)
        _merge(arguments.output, records)  # What is measured is kept.


def _ours(options, seed):
    """One run of the pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "modelyard.pipelines.cli", "run"),
            *("classify-images", "--dataset", "mnist", "--seed", str(seed)),
            *("--no-export", "--runs-dir", folder, *options),
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - began
        (path,) = Path(folder).rglob("metrics.json")
        metrics = json.loads(path.read_text())
    timing = metrics["timing"]
    record = {
        "accuracy": metrics["test"]["accuracy"],
        "validation_accuracy": metrics["validation"]["accuracy"],
        # As for the peer: from the building of the model to the test accuracy.
        "seconds": sum(
            timing[f"{part}_seconds"] for part in ("build", "train", "evaluate")
        ),
        "input_wait_share": timing["input_wait_share"],
        "process_seconds": wall,
    }
    if "test_tta" in metrics:
        record["accuracy_augmented"] = metrics["test_tta"]["accuracy"]
        record["seconds_augmented"] = record["seconds"] + timing["tta_seconds"]
    return record


def _peer(seed):
    """One run of the Keras example."""
    script = _HERE / "peers" / "mnist_convnet.py"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, script, "--seed", str(seed)],
        check=True,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - began
    return {**json.loads(done.stdout.splitlines()[-1]), "process_seconds": wall}


def _merge(path, records):
    """Adds the new figures to the file."""
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, rows in records.items():
        keys = [key for key in rows[0] if key != "seed"]
        results[name] = {
            **{key: _spread([row[key] for row in rows]) for key in keys},
            "runs": rows,
            "machine": describe_machine(),
        }
        if _PEER in records and name != _PEER:
            # Of the same turn, so that a slow minute of the machine hits both.
            ratios = [
                ours["seconds"] / peer["seconds"]
                for ours, peer in zip(rows, records[_PEER], strict=False)
            ]
            results[name]["time_relative_to_peer"] = _spread(ratios)
    path.write_text(json.dumps(results, indent=1) + "\n")


def _spread(values):
    """Mean, median, standard deviation and range."""
    return {
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "min": min(values),
        "max": max(values),
    }


if __name__ == "__main__":
    main()
