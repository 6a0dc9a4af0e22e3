"""MNIST: accuracy of every model over seeds, and time compared with a Keras example.

    python benchmarks/mnist_figures.py --figures models fast best

Each training runs in its own process; trainings whose times are compared run in turn.
The test split is the official one; the validation split is cut from the training split.
Results are merged into benchmarks/results/mnist.json, with one entry per figure.
"""

import argparse
import functools
import json
from pathlib import Path

from figures import HERE, Job, finished_run, measure_in_turn, run_peer

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
    """Measures the chosen figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--figures", nargs="+", choices=["models", "fast", "best"], required=True
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--peer-runs", type=int, default=3, help="runs of the peer; default: 3"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results" / "mnist.json")
    arguments = parser.parse_args()
    jobs: dict[str, Job] = {}
    for name, group in (("models", _MODELS), ("fast", _FAST), ("best", _BEST)):
        if name in arguments.figures:
            for figure, options in group.items():
                jobs[figure] = (functools.partial(_ours, options), arguments.seeds)
    peer = None
    if "fast" in arguments.figures and arguments.peer_runs:
        peer = _PEER
        jobs[peer] = (_peer, min(arguments.peer_runs, arguments.seeds))
    measure_in_turn(jobs, arguments.output, peer=peer)


def _ours(options, seed):
    """One run of the pipeline."""
    options = ("--dataset", "mnist", "--seed", str(seed), *options)
    with finished_run("classify-images", *options) as (folder, process_seconds):
        metrics = json.loads((folder / "metrics.json").read_text())
    timing = metrics["timing"]
    record = {
        "accuracy": metrics["test"]["accuracy"],
        "validation_accuracy": metrics["validation"]["accuracy"],
        # As for the peer: from building the model to its test accuracy.
        "seconds": sum(
            timing[f"{part}_seconds"] for part in ("build", "train", "evaluate")
        ),
        "input_wait_share": timing["input_wait_share"],
        "process_seconds": process_seconds,
    }
    if "test_tta" in metrics:
        record["accuracy_augmented"] = metrics["test_tta"]["accuracy"]
        record["seconds_augmented"] = record["seconds"] + timing["tta_seconds"]
    return record


def _peer(seed):
    """One run of the Keras example."""
    return run_peer("mnist_convnet.py", "--seed", str(seed))


if __name__ == "__main__":
    main()
