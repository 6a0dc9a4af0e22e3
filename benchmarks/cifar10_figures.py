"""CIFAR-10: accuracy over seeds, and time compared with a published PyTorch recipe.

    python benchmarks/conv_rate.py --torch-python PATH
    python benchmarks/cifar10_figures.py --figures fast --torch-python PATH
    python benchmarks/cifar10_figures.py --figures steps --torch-python PATH
    python benchmarks/cifar10_figures.py --figures best residual transfer

Each training runs in its own process; trainings whose times are compared run in turn.
The test split is the official one. Our validation split is cut from the training split;
the peer trains on all of it. Results are merged into benchmarks/results/cifar10.json,
with one entry per figure.

`training_gflop_per_second` counts the arithmetic of convolutions and dense layers,
forward and backward. For the peer it covers all steps but the first; for ours, the
median epoch at full image size (without the first one), including its validation. The
figure `steps` measures only rates, in short trainings at full image size with a tiny
validation split. The count leaves out gradients for the bias of the peer's first layer,
which it trains for three epochs.
"""

import argparse
import csv
import functools
import itertools
import json
import math
import statistics
import tempfile
from pathlib import Path

import numpy as np
from figures import HERE, Job, finished_run, measure_in_turn, run_peer
from machine import describe_machine

from modelyard.data.images.loading import load_images

_FAST_NET = ("--model", "fast_cifar_net", "--recipe", "fast")
_CLASSIFIERS: dict[str, dict[str, tuple[str, ...]]] = {
    "fast": {"fast_cifar_net_fast": _FAST_NET},
    "best": {"fast_cifar_net_best": ("--model", "fast_cifar_net", "--recipe", "best")},
    "residual": {
        "residual_cnn": ("--model", "residual_cnn"),
        "wide_resnet": ("--model", "wide_resnet"),
    },
    "steps": {
        "fast_cifar_net_steps": (
            *(*_FAST_NET, "--epochs", "3", "--small-share", "0"),
            *("--validation-share", "0.002", "--max-train-examples", "10240"),
        )
    },
}
_TRANSFERS: dict[str, dict[str, tuple[str, ...]]] = {
    "transfer": {
        "transfer_1000_labels": ("--max-train-examples", "1000"),
        "transfer_5000_labels": ("--max-train-examples", "5000"),
    },
    "transfer_best": {"transfer_all_labels": ("--recipe", "best")},
}
_PEERS = {"fast": "airbench94_torch", "steps": "airbench94_torch_steps"}
_PEER_STEPS = 20  # For the figure `steps`.
_PEER_BATCH = 1024
_PEER_EXAMPLES = 9.9 * 50_000
_PEER_LAYERS = (  # As `_layers` returns them.
    (31 * 31, 4 * 3 * 24, 1),
    (31 * 31, 9 * 24 * 64, 2),
    (15 * 15, 9 * 64 * 64, 3),
    (15 * 15, 9 * 64 * 256, 3),
    (7 * 7, 9 * 256 * 256, 3),
    (7 * 7, 9 * 256 * 256, 3),
    (3 * 3, 9 * 256 * 256, 3),
    (1, 256 * 10, 3),
)


def main():
    """Measures the chosen figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--figures", nargs="+", choices=[*_CLASSIFIERS, *_TRANSFERS], required=True
    )
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--peer-runs", type=int, default=1, help="runs of the peer; default: 1"
    )
    parser.add_argument(
        "--peer-steps",
        type=int,
        help="time this many steps of the peer and extrapolate to a full run",
    )
    parser.add_argument(
        "--torch-python", help="Python with PyTorch, for the peer of `fast` and `steps`"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "cifar10.json"
    )
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    peers = {
        figure: name
        for figure, name in _PEERS.items()
        if figure in arguments.figures and arguments.peer_runs > 0
    }
    if peers and not arguments.torch_python:
        parser.error(
            f"--torch-python is needed for {' and '.join(peers)}, or --peer-runs 0"
        )
    bare_rate = None
    if set(arguments.figures) & set(_CLASSIFIERS):
        try:
            bare_rate = _bare_rate(HERE / "results" / "conv_rate.json")
        except (FileNotFoundError, ValueError) as error:
            parser.error(f"{error}. Run conv_rate.py first.")

    with tempfile.TemporaryDirectory() as folder:
        jobs: dict[str, Job] = {}
        for figure in arguments.figures:
            for name, options in _CLASSIFIERS.get(figure, {}).items():
                measure = functools.partial(_classifier, options, bare_rate)
                if figure == "steps":
                    measure = functools.partial(_rates, measure)
                jobs[name] = (measure, arguments.seeds)
            for name, options in _TRANSFERS.get(figure, {}).items():
                jobs[name] = (functools.partial(_transfer, options), arguments.seeds)
        if peers:
            data = Path(folder) / "cifar10.npz"
            _write_arrays(data)
        for figure, name in peers.items():
            steps = _PEER_STEPS if figure == "steps" else arguments.peer_steps
            measure = functools.partial(
                _peer, arguments.torch_python, data, bare_rate, steps
            )
            if figure == "steps":
                measure = functools.partial(_rates, measure)
            jobs[name] = (measure, min(arguments.peer_runs, arguments.seeds))
        measure_in_turn(jobs, arguments.output, peer=peers.get("fast"))


def _bare_rate(path):
    """GFLOP/s of bare convolutions on this machine, in the precision of training."""
    measured, here = json.loads(path.read_text()), describe_machine()
    for key in ("cpu", "cores"):
        if measured["machine"][key] != here[key]:
            raise ValueError(
                f"{path} is of another machine: {key} {measured['machine'][key]}"
            )
    return measured["best_gflop_per_second"][_precision(here)]


def _precision(machine):
    """The precision that `auto` chooses on a machine."""
    return "bfloat16" if machine["bfloat16_in_hardware"] else "float32"


def _write_arrays(path):
    """Writes all images for a Python that has no TensorFlow Datasets."""
    splits = load_images("cifar10")
    parts = (splits.train, splits.validation)
    np.savez(
        path,
        x_train=np.concatenate([part.images for part in parts]),
        y_train=np.concatenate([part.labels for part in parts]),
        x_test=splits.test.images,
        y_test=splits.test.labels,
    )


def _classifier(options, bare_rate, seed):
    """One run of `classify-images`."""
    options = ("--dataset", "cifar10", "--seed", str(seed), *options)
    with finished_run("classify-images", *options) as (folder, process_seconds):
        metrics = json.loads((folder / "metrics.json").read_text())
        rate = _steady_rate(folder, metrics["timing"])
        layers = _layers(folder / "model.keras")
    timing = metrics["timing"]
    return {
        **_accuracies(metrics),
        # As for the peer: from building the model to the last step.
        "seconds": timing["build_seconds"] + timing["train_seconds"],
        "evaluate_seconds": timing["evaluate_seconds"],
        "images_per_second": timing["examples_per_second"],
        "steady_images_per_second": rate,
        **_gflop(rate, layers, bare_rate),
        "input_wait_share": timing["input_wait_share"],
        "process_seconds": process_seconds,
    }


def _rates(measure, seed):
    """The rates of a training that is too short for its time to matter."""
    parts = ("_per_second", "share_of_bare_rate")
    return {k: v for k, v in measure(seed).items() if k.endswith(parts)}


def _transfer(options, seed):
    """One run of `transfer-images`."""
    options = ("--dataset", "cifar10", "--seed", str(seed), *options)
    with finished_run("transfer-images", *options) as (folder, process_seconds):
        metrics = json.loads((folder / "metrics.json").read_text())
        curve = json.loads((folder / "learning_curve.json").read_text())
        environment = json.loads((folder / "environment.json").read_text())
    return {
        **_accuracies(metrics),
        "learning_curve": curve["points"],
        "kept": metrics["kept"],  # The frozen or the fine-tuned classifier.
        **metrics["timing"],
        "process_seconds": process_seconds,
        "precision": environment["dtype_policy"].removeprefix("mixed_"),
    }


def _peer(python, data, bare_rate, steps, seed):
    """One run of the published recipe, or the start of one, in our precision."""
    precision = _precision(describe_machine())
    options = ["--data", str(data), "--seed", str(seed), "--precision", precision]
    if steps is not None:
        options += ["--max-steps", str(steps)]
    record = run_peer("cifar10_airbench.py", *options, python=python)
    if steps is not None:
        # The first step, which plans the convolutions, counts once.
        rest = _PEER_EXAMPLES - steps * _PEER_BATCH
        record["seconds"] += rest / record["images_per_second"]
    return {**record, **_gflop(record["images_per_second"], _PEER_LAYERS, bare_rate)}


def _accuracies(metrics):
    """The test accuracy as `accuracy`, and the others by name."""
    return {
        "accuracy": metrics["test"]["accuracy"],
        **{
            f"accuracy_{part.removeprefix('test_')}": values["accuracy"]
            for part, values in metrics.items()
            if part != "test" and isinstance(values, dict) and "accuracy" in values
        },
    }


def _steady_rate(folder, timing):
    """Images per second in the median full-size epoch but the first, which traces."""
    with (folder / "history.csv").open(newline="") as file:
        ends = [float(row["seconds"]) for row in csv.DictReader(file)]
    config = json.loads((folder / "config.json").read_text())
    small = int(config["small_share"] * config["epochs"])
    images = timing["examples_per_second"] * timing["train_seconds"] / timing["epochs"]
    return images / statistics.median(
        b - a for a, b in itertools.pairwise(ends[small:])
    )


def _layers(path):
    """Positions, weights and passes of each layer that multiplies.

    A pass is the forward one, the gradient of the weights or that of the inputs.
    """
    import keras  # Behind the timed process, not beside it.

    import modelyard.models  # noqa: F401  Registers the layers of ours.

    rows, trained_below = [], False
    for layer in keras.models.load_model(path, compile=False).layers:
        if hasattr(layer, "kernel"):
            positions = math.prod(layer.output.shape[1:-1])
            passes = 1 + layer.kernel.trainable + trained_below
            rows.append((positions, math.prod(layer.kernel.shape), passes))
        trained_below |= bool(layer.trainable_variables)
    return rows


def _gflop(images_per_second, layers, bare_rate):
    """The arithmetic rate of training steps, and its share of the bare rate."""
    operations = sum(2 * math.prod(row) for row in layers)
    rate = operations * images_per_second / 1e9
    return {"training_gflop_per_second": rate, "share_of_bare_rate": rate / bare_rate}


if __name__ == "__main__":
    main()
