"""encode-images: reconstruction error and linear probe of codes, beside PCA.

    python benchmarks/encode_images_figures.py --datasets digits mnist

Each training runs in its own process, and measures PCA at the same code size as well.
Results are merged into benchmarks/results/encode_images.json.
"""

import argparse
import functools
import json
from pathlib import Path

from figures import HERE, finished_run, measure_in_turn

_CODE_SIZES = {"digits": 16, "mnist": 32}
_METRICS = ("psnr", "explained_variance", "probe_accuracy")


def main():
    """Measures the chosen data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--datasets", nargs="+", choices=list(_CODE_SIZES), required=True
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "encode_images.json"
    )
    arguments = parser.parse_args()
    jobs = {
        name: (functools.partial(_measure, name, _CODE_SIZES[name]), arguments.seeds)
        for name in arguments.datasets
    }
    measure_in_turn(jobs, arguments.output)


def _measure(dataset, code_size, seed):
    """One run of the autoencoder."""
    options = ("--dataset", dataset, "--code-size", str(code_size))
    with finished_run("encode-images", *options, "--seed", str(seed)) as (folder, _):
        metrics = json.loads((folder / "metrics.json").read_text())
    return {
        "code_size": code_size,
        **{name: metrics["test"][name] for name in _METRICS},
        **{f"pca_{name}": metrics["pca"][name] for name in _METRICS},
        "validation_psnr": metrics["validation"]["psnr"],
        "train_seconds": metrics["timing"]["train_seconds"],
    }


if __name__ == "__main__":
    main()
