"""Trains a small model; killed and resumed by test_fit.py.

python interrupted_fit.py MODEL FOLDER (--die-at-step N | --die-in-checkpoint N)
"""

import argparse
import os
import signal
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from modelyard.data.images.augmentation import Augmentation
from modelyard.data.images.pipeline import (
    make_evaluation_dataset,
    make_training_dataset,
    steps_per_epoch,
)
from modelyard.training import checkpoint, fit
from modelyard.training.losses import SmoothedCrossentropy
from modelyard.training.optimizers import make_optimizer

EPOCHS = 4
_BATCH_SIZE = 16
_EXAMPLES = 200
_STEPS = steps_per_epoch(_EXAMPLES, _BATCH_SIZE)


def build_classifier():
    """A compiled classifier with batch statistics, dropout and an average."""
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
            total_steps=_STEPS * EPOCHS,
            warmup_share=0.2,
            ema=0.9,
        ),
        SmoothedCrossentropy(0.1),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


class Adversaries(keras.Model):
    """A generative adversarial network: two optimizers, none from `compile`."""

    def __init__(self, *, builds_optimizers=True):
        super().__init__()
        self.generator = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))]
        )
        self.critic = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
        )
        self.noise = keras.random.SeedGenerator(3)
        self.generator_optimizer = keras.optimizers.SGD(
            0.05, momentum=0.9, use_ema=True, ema_momentum=0.9
        )
        self.critic_optimizer = keras.optimizers.Adam(0.01)
        if builds_optimizers:
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.critic_optimizer.build(self.critic.trainable_variables)
        self.build((None, 8, 8, 1))
        self.compile(optimizer=None, jit_compile=False)

    def build(self, input_shape):
        """Nothing is left to build."""
        self.built = True

    def call(self, images):
        return self.critic(images / 255)

    def train_step(self, data):
        images = tf.cast(data[0], "float32") / 255
        noise = keras.random.normal((tf.shape(images)[0], 3), seed=self.noise)
        with tf.GradientTape(persistent=True) as tape:
            made = self.critic(self.generator(noise))
            generator_loss = tf.reduce_mean(tf.nn.softplus(-made))
            critic_loss = tf.reduce_mean(
                tf.nn.softplus(made) + tf.nn.softplus(-self.critic(images))
            )
        for loss, part, optimizer in (
            (generator_loss, self.generator, self.generator_optimizer),
            (critic_loss, self.critic, self.critic_optimizer),
        ):
            variables = part.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return {"generator_loss": generator_loss, "critic_loss": critic_loss}

    def test_step(self, data):
        made = self.generator(tf.ones((1, 3)))
        return {"brightness": tf.reduce_mean(made)}


BUILDERS = {"classifier": build_classifier, "adversaries": Adversaries}


def train(name, folder):
    """Trains a model in a run folder; returns all its state and its history."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_EXAMPLES, 8, 8, 1)).astype("uint8")
    labels = (images.mean((1, 2, 3)) > 127.5).astype("int64")
    keras.utils.set_random_seed(7)
    model = BUILDERS[name]()

    def make_dataset(finished):
        return make_training_dataset(
            images,
            labels,
            batch_size=_BATCH_SIZE,
            seed=7,
            epochs=EPOCHS,
            first_epoch=finished,
            augmentation=Augmentation(shift=1, flip=True),
        )

    progress = fit.fit_resumably(
        model,
        make_dataset,
        make_evaluation_dataset(images[:32], labels[:32], batch_size=_BATCH_SIZE),
        epochs=EPOCHS,
        steps_per_epoch=_STEPS,
        folder=folder,
        console=Console(quiet=True),
    )
    for row in progress.history:
        del row["seconds"]
    state = [keras.ops.convert_to_numpy(variable) for variable in state_of(model)]
    return state, progress.history


def state_of(model):
    """All variables of a model and its optimizers."""
    found = [*model.variables]
    for name in ("optimizer", "critic_optimizer", "generator_optimizer"):
        optimizer = getattr(model, name, None)
        found += optimizer.variables if optimizer else []
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=BUILDERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-at-step", type=int, default=-1)
    parser.add_argument("--die-in-checkpoint", type=int, default=-1)
    arguments = parser.parse_args()
    if arguments.die_in_checkpoint > 0:
        _die_in_checkpoint(arguments.die_in_checkpoint)
    if arguments.die_at_step > 0:
        _die_at_step(arguments.die_at_step)
    train(arguments.model, arguments.folder)


def _die_at_step(step):
    """Kills this process, hard, after that update."""
    on_train_batch_end = fit._Recorder.on_train_batch_end

    def die(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        if int(checkpoint.find_optimizers(self.model)[0].iterations) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    fit._Recorder.on_train_batch_end = die


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
