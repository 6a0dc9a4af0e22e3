"""Trains a small model; killed and resumed by test_fit.py.

    python interrupted_fit.py FOLDER [--die-at-step N | --die-in-checkpoint N]

Writes the final weights to FOLDER/final.npz.
"""

import argparse
import os
import signal
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from modelyard.data.images.pipeline import (
    Augmentation,
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.training import fit
from modelyard.training.optimizers import SmoothedCrossentropy, make_optimizer

EPOCHS = 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-at-step", type=int, default=-1)
    parser.add_argument("--die-in-checkpoint", type=int, default=-1)
    arguments = parser.parse_args()
    if arguments.die_in_checkpoint > 0:
        _die_in_checkpoint(arguments.die_in_checkpoint)

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 8, 8, 1)).astype("uint8")
    labels = (images.mean((1, 2, 3)) > 127.5).astype("int64")
    steps = steps_per_epoch(len(images), 16)
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        make_optimizer(
            "adamw",
            learning_rate=0.01,
            schedule="one_cycle",
            total_steps=steps * EPOCHS,
            warmup_share=0.2,
            ema=0.9,
        ),
        SmoothedCrossentropy(0.1),
        metrics=["accuracy"],
        jit_compile=False,
    )

    def make_dataset(finished):
        return make_training_dataset(
            images,
            labels,
            batch_size=16,
            seed=7,
            epochs=EPOCHS,
            first_epoch=finished,
            augmentation=Augmentation(shift=1, flip=True),
        )

    if arguments.die_at_step >= 0:
        _die_at_step(arguments.die_at_step)
    progress = fit.fit_resumably(
        model,
        make_dataset,
        make_evaluation_dataset(images[:32], labels[:32], batch_size=16),
        epochs=EPOCHS,
        steps_per_epoch=steps,
        folder=arguments.folder,
        console=Console(),
    )
    weights = {f"{i:03d}": w for i, w in enumerate(model.get_weights())}
    losses = [row["loss"] for row in progress.history]
    np.savez(arguments.folder / "final.npz", losses=losses, **weights)


def _die_at_step(step):
    """Kills this process, hard, after that update."""
    recorder = fit._Recorder.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        recorder(self, batch, logs)
        if int(self.model.optimizer.iterations) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    fit._Recorder.on_train_batch_end = on_train_batch_end


def _die_in_checkpoint(number):
    """Kills this process, hard, when that checkpoint is half written."""
    left = [number]
    savez = np.savez

    def savez_half(file, **arrays):
        left[0] -= 1
        if left[0]:
            return savez(file, **arrays)
        names = list(arrays)
        savez(file, **{name: arrays[name] for name in names[: len(names) // 2]})
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    np.savez = savez_half


if __name__ == "__main__":
    main()
