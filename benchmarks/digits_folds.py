"""Cross-validates the digits convnet: five stratified folds for each of five seeds.

    python benchmarks/digits_folds.py

The data set has no official test split. Each fold is the test split of one run; the
validation split is cut from the other four. Writes benchmarks/results/digits.json.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from machine import describe_machine
from rich.console import Console

from modelyard.data.settings import make_config
from modelyard.pipelines.classify_images.config import RECIPES, Config
from modelyard.pipelines.classify_images.run import run
from modelyard.pipelines.common.recipes import recipe_values


def main():
    """Trains all folds of all seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "digits.json",
    )
    arguments = parser.parse_args()
    runs = []
    for seed in range(arguments.seeds):
        runs += [_run(seed, fold) for fold in range(5)]
        _write(arguments.output, runs)  # Keeps what has been measured so far.


def _write(path, runs):
    """Writes the figures of the seeds so far."""
    by_seed = [
        # The five folds of a seed test each of the 1,797 images once.
        1 - sum(run["errors"] for run in runs if run["seed"] == seed) / 1797
        for seed in sorted({run["seed"] for run in runs})
    ]
    result = {
        "accuracy_mean": statistics.fmean(by_seed),
        "accuracy_sd_over_seeds": statistics.pstdev(by_seed),
        "accuracy_by_seed": by_seed,
        "accuracy_range_over_folds": [
            min(run["accuracy"] for run in runs),
            max(run["accuracy"] for run in runs),
        ],
        "runs": runs,
        "machine": describe_machine(),
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(by_seed, result["accuracy_mean"])


def _run(seed, fold):
    """One run of the pipeline."""
    values = recipe_values(RECIPES, "fast", "digits", "convnet")
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "dataset": f"digits?fold={fold}",
            "model": "convnet",
            "seed": seed,
            "export": False,
            "runs_dir": folder,
            "saved_models_dir": folder,
        }
        config = make_config(Config, values | own)
        finished = run(config, console=Console(quiet=True))
        metrics = json.loads((finished / "metrics.json").read_text())
    record = {
        "seed": seed,
        "fold": fold,
        "accuracy": metrics["test"]["accuracy"],
        "errors": metrics["test"]["num_errors"],
        "train_seconds": metrics["timing"]["train_seconds"],
    }
    print(record, flush=True)
    return record


if __name__ == "__main__":
    main()
