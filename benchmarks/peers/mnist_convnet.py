"""The peer of the MNIST figures: the convnet of the Keras examples, as a script.

Written from the description of the example `mnist_convnet` (keras.io): two 3x3
convolutions of 32 and 64 filters, each with 2x2 max-pooling, dropout of one half,
softmax; Adam, batch 128, 15 epochs, a tenth of the training images for validation.
Reads MNIST through TFDS and prints one line of JSON: test accuracy and seconds from
building the model to its test accuracy.
"""

import argparse
import json
import sys
import time

import keras
import numpy as np
import tensorflow_datasets as tfds


def main():
    """Trains and tests once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    (x_train, y_train), (x_test, y_test) = (_load(split) for split in ("train", "test"))
    keras.utils.set_random_seed(arguments.seed)
    began = time.perf_counter()
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x_train,
        y_train,
        batch_size=128,
        epochs=arguments.epochs,
        validation_split=0.1,
        verbose=0,
    )
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    seconds = time.perf_counter() - began
    record = {"accuracy": accuracy, "seconds": seconds, "precision": "float32"}
    json.dump(record, sys.stdout)


def _load(split):
    """Images in [0, 1] and one-hot labels, all in memory."""
    pairs = tfds.as_numpy(
        tfds.load("mnist", split=split, batch_size=-1, as_supervised=True)
    )
    images, labels = pairs
    return images.astype("float32") / 255, keras.utils.to_categorical(
        labels.astype(np.int64), 10
    )


if __name__ == "__main__":
    main()
