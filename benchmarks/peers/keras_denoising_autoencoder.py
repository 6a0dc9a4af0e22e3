"""The autoencoder of the keras.io example on MNIST, trained for given seconds.

The network, the loss and the optimizer are those of
https://keras.io/examples/vision/autoencoder/ (28,353 weights); the noise, the input
pipeline and the measurement are ours. It trains whole epochs until the time is over.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow_datasets as tfds
from keras import layers


def main():
    """Trains, and prints a record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--sigma", type=float, default=0.4)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    train, test = (_load(split) for split in ("train", "test"))
    noisy_test = _add_noise(test, arguments.sigma, rng)
    model = _build()
    model.compile("adam", "binary_crossentropy")
    began, epochs = time.perf_counter(), 0
    while time.perf_counter() - began < arguments.seconds:
        noisy = _add_noise(train, arguments.sigma, rng)
        model.fit(noisy, train, batch_size=128, verbose=0)
        epochs += 1
    seconds = time.perf_counter() - began
    restored = model.predict(noisy_test, batch_size=500, verbose=0)
    record = {
        "psnr": _psnr(test, restored),
        "noisy_psnr": _psnr(test, noisy_test),
        "weights": model.count_params(),
        "epochs": epochs,
        "seconds": seconds,
    }
    print(json.dumps(record))


def _load(split):
    """Images in [0, 1], float32 `(n, 28, 28, 1)`."""
    images, _ = tfds.load("mnist", split=split, batch_size=-1, as_supervised=True)
    return np.asarray(images, "float32") / 255


def _add_noise(images, sigma, rng):
    """Clipped white noise."""
    noise = sigma * rng.standard_normal(images.shape, "float32")
    return np.clip(images + noise, 0, 1)


def _build():
    """Two stages down and two up."""
    inputs = keras.Input((28, 28, 1))
    x = inputs
    for _ in range(2):
        x = layers.Conv2D(32, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    for _ in range(2):
        x = layers.Conv2DTranspose(32, 3, 2, activation="relu", padding="same")(x)
    outputs = layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x)
    return keras.Model(inputs, outputs)


def _psnr(truth, result):
    """Mean over images of the PSNR of 8-bit pixels, in dB."""
    result = np.rint(255 * result).clip(0, 255) / 255
    errors = np.square(truth - result).mean(axis=(1, 2, 3))
    return float(-10 * np.log10(np.maximum(errors, 1e-10)).mean())


if __name__ == "__main__":
    main()
