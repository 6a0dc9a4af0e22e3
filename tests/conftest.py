"""What all tests share: real data where it is, and no state left behind."""

import os

# As the command line has them; TensorFlow reads them when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf
from keras import layers

from modelyard.data.catalogue import CATALOGUE, is_present, tfds_data_dir


def pytest_addoption(parser):
    parser.addoption(
        "--full", action="store_true", help="also run the tests marked `full`"
    )


def pytest_collection_modifyitems(config, items):
    """Deselects tests marked `full` without `--full`, whatever `-m` selects."""
    if config.getoption("full"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


def pytest_runtest_setup(item):
    """Skips tests on real data that is not here, unless it has to be."""
    marker = item.get_closest_marker("real_data")
    if marker is None:
        return
    folder = tfds_data_dir()
    names = marker.args or ("mnist", "cifar10")
    cards = [card for card in CATALOGUE if card.name in names]
    missing = [card.name for card in cards if not is_present(card, folder)]
    if missing:
        message = f"needs {' and '.join(missing)}, prepared in {folder}"
        if os.environ.get("MODELYARD_REQUIRE_REAL_DATA"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(autouse=True)
def _float32_policy():
    """Every test begins and ends with the default dtype policy."""
    yield
    assert keras.config.dtype_policy().name == "float32"


VOCABULARY = ["", "[UNK]", "good", "bad", "film", "not", "a", "höhle", "very", "!"]
_MAX_LENGTH = 12


class WordEncoder(tf.Module):
    """Words by spaces, at most a dozen of a text."""

    def __init__(self):
        super().__init__()
        keys = tf.constant(VOCABULARY[1:])
        values = tf.range(1, len(VOCABULARY))
        initializer = tf.lookup.KeyValueTensorInitializer(keys, values)
        self.table = tf.lookup.StaticHashTable(initializer, 1)

    def __call__(self, texts):
        clean = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        words = tf.strings.split(tf.strings.lower(clean, "utf-8"))[:, :_MAX_LENGTH]
        tokens = self.table.lookup(words.to_tensor(""))
        tokens = tf.where(tf.sequence_mask(words.row_lengths()), tokens, 0)
        none = tf.zeros((tf.shape(texts)[0], 1), tf.int32)
        tokens = tf.concat([tokens, none], 1)[:, : tf.maximum(1, tf.shape(tokens)[1])]
        # A text without words is one unknown word.
        return tf.concat([tf.maximum(tokens[:, :1], 1), tokens[:, 1:]], 1)


def build_text_model(kind="lstm", num_classes=3):
    """Builds a classifier with large weights, so that much depends on the words."""
    keras.utils.set_random_seed(0)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedding = layers.Embedding(
        len(VOCABULARY),
        6,
        mask_zero=kind == "lstm",
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="embedding",
    )
    x = embedding(tokens)
    # Not the layer's own mask: it must come from the tokens as well.
    words = keras.ops.cast(keras.ops.not_equal(tokens, 0), "float32")[..., None]
    if kind == "lstm":
        x = layers.Bidirectional(layers.LSTM(5, bias_initializer="normal"))(x)
    elif kind == "cnn":
        x = layers.Conv1D(8, 3, padding="same")(x * words)
        x = keras.ops.max(keras.ops.relu(x) * words, axis=1)
    else:
        x = keras.ops.sum(x * words, axis=1)
    x = layers.Identity(name="features")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(tokens, logits)


@pytest.fixture(scope="session")
def word_encoder():
    return WordEncoder()


@pytest.fixture(scope="session")
def text_model():
    return build_text_model


@pytest.fixture(scope="session")
def vocabulary():
    return VOCABULARY
