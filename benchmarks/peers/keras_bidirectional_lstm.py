"""The peer of the IMDB figures: the bidirectional LSTM of the Keras examples.

Written from the description of the example `bidirectional_lstm_imdb` (keras.io): the
20,000 most frequent words, the last 200 of each review, word vectors of 128 numbers,
two bidirectional LSTMs of 64 units, a sigmoid; Adam, batch 32, 2 epochs. It looks at
the test split after every epoch, as validation; here that is left to the end. Reads
IMDB through TFDS and prints one line of JSON: test accuracy and seconds from
building the model to its test accuracy. Tokenizing is not counted.
"""

import argparse
import json
import time

import keras
import numpy as np
import tensorflow_datasets as tfds

_WORDS = 20_000
_LENGTH = 200


def main():
    """Trains and tests once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    (x_train, y_train), (x_test, y_test) = _load()
    keras.utils.set_random_seed(arguments.seed)
    began = time.perf_counter()
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(_WORDS, 128),
            keras.layers.Bidirectional(keras.layers.LSTM(64, return_sequences=True)),
            keras.layers.Bidirectional(keras.layers.LSTM(64)),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=32, epochs=arguments.epochs, verbose=0)
    trained = time.perf_counter() - began
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    seconds = time.perf_counter() - began
    record = {"accuracy": accuracy, "seconds": seconds, "train_seconds": trained}
    record["precision"] = "float32"
    print(json.dumps(record))


def _load():
    """Token ids, padded in front, and labels of both splits."""
    splits = [
        tfds.as_numpy(
            tfds.load("imdb_reviews", split=split, batch_size=-1, as_supervised=True)
        )
        for split in ("train", "test")
    ]
    tokenizer = keras.layers.TextVectorization(max_tokens=_WORDS, ragged=True)
    tokenizer.adapt(splits[0][0])
    parts = []
    for texts, labels in splits:
        ids = keras.utils.pad_sequences(
            [row.tolist() for row in tokenizer(texts).numpy()], _LENGTH
        )
        parts.append((ids, labels.astype(np.float32)))
    return parts


if __name__ == "__main__":
    main()
