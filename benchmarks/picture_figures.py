"""denoise-images, enhance-images and colorize-images beside their rivals.

    python benchmarks/picture_figures.py --keep FOLDER --figures enhance-set5

Each training runs in its own process. `denoise-mnist` also trains the peer for the same
seconds; the colorizers are judged by a classifier, trained once with the first of them.
BM3D is measured where the package `bm3d` is installed. Results are merged into
benchmarks/results/pictures.json.
"""

import argparse
import functools
import json
from pathlib import Path

from figures import HERE, finished_run, measure_in_turn, run_peer

# The plain network, as in DnCNN: slower at first, better after many updates.
_PLAIN = ("--no-shortcuts", "--learning-rate", "0.002")
_COLORIZE = ("--dataset", "cifar10", "--epochs", "8")
_FIGURES = {
    "denoise-cifar10": (
        "denoise-images",
        *("--dataset", "cifar10", "--epochs", "12", "--baseline-examples", "100"),
        *_PLAIN,
    ),
    "denoise-mnist": (
        "denoise-images",
        *("--dataset", "mnist", "--epochs", "4"),
        *("--noise-level", "102", "--clip-noise"),
        *_PLAIN,
    ),
    "denoise-bsd68": (
        "denoise-images",
        *("--dataset", "train400", "--epochs", "36", "--evaluate-on", "bsd68"),
        *_PLAIN,
    ),
    "enhance-set5": (
        "enhance-images",
        *("--dataset", "t91", "--epochs", "45", "--evaluate-on", "set5", "set14"),
    ),
    "colorize-cifar10": ("colorize-images", *_COLORIZE),
    "colorize-cifar10-distribution": (
        *("colorize-images", *_COLORIZE, "--model", "distribution_colorizer"),
    ),
}
_CLASSIFIER = ("--dataset", "cifar10", "--model", "fast_cifar_net", "--epochs", "3")


def main():
    """Measures the chosen figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", nargs="+", choices=list(_FIGURES), required=True)
    parser.add_argument(
        "--keep", type=Path, required=True, help="folder for the runs; resumes them"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "pictures.json"
    )
    arguments = parser.parse_args()
    jobs = {
        name: (functools.partial(_measure, name, arguments.keep), 1)
        for name in arguments.figures
    }
    measure_in_turn(jobs, arguments.output)


def _measure(name, keep, seed):
    """One run, with all methods it was compared with."""
    pipeline, *options = _FIGURES[name]
    if pipeline == "colorize-images":
        options += ["--classifier", str(_train_classifier(keep))]
    options += ["--seed", str(seed)]
    with finished_run(pipeline, *options, keep=keep / name) as (folder, _):
        metrics = json.loads((folder / "metrics.json").read_text())
    record = {
        "train_seconds": metrics["timing"]["train_seconds"],
        "validation": metrics["validation"],
        "test": metrics["test"],
        "methods": metrics["methods"],
        "evaluated_on": metrics["evaluated_on"],
    }
    for key in ("classical", "classifier_accuracy"):
        if key in metrics:
            record[key] = metrics[key]
    if name == "denoise-mnist":
        seconds = str(record["train_seconds"])
        record["peer"] = run_peer(
            "keras_denoising_autoencoder.py", "--seconds", seconds, "--sigma", "0.4"
        )
    return record


def _train_classifier(keep):
    """The model of a short training on CIFAR-10, kept for further runs."""
    root = keep / "classifier"
    done = next(root.rglob("report.html"), None)
    if done is None:
        with finished_run("classify-images", *_CLASSIFIER, keep=root) as (folder, _):
            done = folder / "report.html"
    return done.parent / "model.keras"


if __name__ == "__main__":
    main()
