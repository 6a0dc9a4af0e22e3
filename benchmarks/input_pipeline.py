"""Measures how many images per second the training input pipeline delivers.

    python benchmarks/input_pipeline.py

The consumer is an empty loop, so no model can be fed faster. Needs prepared MNIST and
CIFAR-10 in the TFDS folder. Run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

from modelyard.data.images.augmentation import Augmentation
from modelyard.data.images.loading import load_images
from modelyard.data.images.pipeline import make_training_dataset, steps_per_epoch

CASES = {
    "mnist, none": ("mnist", Augmentation()),
    "mnist, shift 2": ("mnist", Augmentation(shift=2)),
    "mnist, affine": ("mnist", Augmentation(shift=2, rotate=10, scale=0.1, shear=5)),
    "cifar10, flip + crop 4 + cutout 8": (
        "cifar10",
        Augmentation(shift=4, flip=True, cutout=8, padding="reflect"),
    ),
}
DEFAULT_OUTPUT = Path(__file__).parent / "results" / "input_pipeline.json"


def main() -> None:
    """Measures every case, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=256, help="default: 256")
    parser.add_argument(
        "--repeats", type=int, default=7, help="epochs timed per case; default: 7"
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="JSON file to write"
    )
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")

    loaded = {name: load_images(name) for name, _ in CASES.values()}
    figures = {}
    for case, (name, augmentation) in CASES.items():
        rates = measure(
            loaded[name].train.images,
            loaded[name].train.labels,
            augmentation,
            batch_size=arguments.batch_size,
            repeats=arguments.repeats,
        )
        figures[case] = {
            "median_images_per_second": round(statistics.median(rates)),
            "slowest": round(min(rates)),
            "fastest": round(max(rates)),
        }
        print(f"{case:36s} {figures[case]['median_images_per_second']:>12,} images/s")
    results = {
        "images_per_second": figures,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
        "load_average_at_end": round(os.getloadavg()[0], 2),
        "machine": describe_machine(),
    }
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"Written to {arguments.output}")


def measure(
    images: np.ndarray,
    labels: np.ndarray,
    augmentation: Augmentation,
    *,
    batch_size: int,
    repeats: int,
) -> list[float]:
    """Times whole epochs of one stream, without the first, which warms up.

    Args:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
        augmentation: Random transformations.
        batch_size: Images per batch.
        repeats: Epochs to time.

    Returns:
        Images per second of each timed epoch.
    """
    dataset = make_training_dataset(
        images,
        labels,
        batch_size=batch_size,
        seed=0,
        epochs=repeats + 1,
        augmentation=augmentation,
    )
    steps = steps_per_epoch(len(images), batch_size)
    batches = iter(dataset)
    rates = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for _ in range(steps):
            next(batches)
        rates.append(steps * batch_size / (time.perf_counter() - start))
    return rates[1:]


if __name__ == "__main__":
    main()
