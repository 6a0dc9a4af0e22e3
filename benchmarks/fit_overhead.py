"""The cost of checkpoints, progress, history and TensorBoard over a bare `fit`.

    python benchmarks/fit_overhead.py

Trains the MNIST convnet on the same input pipeline with our `fit_resumably` and with
`keras.Model.fit` in turn, both with validation after each epoch. The first pair warms
up and is not counted. Writes benchmarks/results/fit_overhead.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import keras
from machine import describe_machine
from rich.console import Console

from modelyard.data.images.loading import load_images
from modelyard.data.images.pipeline import (
    Augmentation,
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.models import build_convnet
from modelyard.training.fit import fit_resumably
from modelyard.training.losses import SmoothedCrossentropy
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision

_BATCH_SIZE = 256


def main():
    """Measures pairs of trainings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "fit_overhead.json",
    )
    arguments = parser.parse_args()
    splits = load_images("mnist")
    times = {"bare": [], "ours": []}
    for pair in range(arguments.pairs + 1):
        # The order alternates, so that a drift of the machine favours neither.
        for name in ("bare", "ours") if pair % 2 else ("ours", "bare"):
            seconds = _train(name, splits, arguments.epochs)
            print(pair, name, round(seconds, 2), flush=True)
            if pair:
                times[name].append(seconds)
    ratios = [o / b for o, b in zip(times["ours"], times["bare"], strict=True)]
    result = {
        "epochs": arguments.epochs,
        "seconds": times,
        "overhead_of_medians": statistics.median(times["ours"])
        / statistics.median(times["bare"])
        - 1,
        "overhead_median_of_pairs": statistics.median(ratios) - 1,
        "overhead_range_of_pairs": [min(ratios) - 1, max(ratios) - 1],
        "machine": describe_machine(),
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _train(name, splits, epochs):
    """Seconds of one training of a fresh model."""
    images, labels = splits.train.images, splits.train.labels
    steps = steps_per_epoch(len(images), _BATCH_SIZE)
    keras.utils.set_random_seed(0)
    with dtype_policy(resolve_precision("auto")):
        model = build_convnet(splits.image_shape, splits.num_classes)
        optimizer = make_optimizer(
            "adamw",
            learning_rate=0.01,
            schedule="one_cycle",
            total_steps=steps * epochs,
        )
        model.compile(
            optimizer, SmoothedCrossentropy(), metrics=["accuracy"], jit_compile=False
        )
    dataset = make_training_dataset(
        images,
        labels,
        batch_size=_BATCH_SIZE,
        seed=0,
        epochs=epochs,
        augmentation=Augmentation(shift=1),
    )
    validation = make_evaluation_dataset(
        splits.validation.images, splits.validation.labels, batch_size=500
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if name == "bare":
            model.fit(
                dataset,
                validation_data=validation,
                epochs=epochs,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
            )
        else:
            fit_resumably(
                model,
                lambda _: dataset,
                validation,
                epochs=epochs,
                steps_per_epoch=steps,
                folder=Path(folder),
                console=Console(quiet=True),
            )
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
