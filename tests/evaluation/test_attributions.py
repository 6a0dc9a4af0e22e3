import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from modelyard.evaluation.attributions import Attributor
from modelyard.models import build_recurrent_classifier

_TOKENS = np.array(
    [
        [2, 3, 4, 5, 6, 7, 8, 9],
        [9, 9, 2, 0, 0, 0, 0, 0],
        [5, 3, 4, 2, 2, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.int32,
)
_JAX = """
import json, keras, numpy as np
from keras import layers
from modelyard.evaluation.attributions import Attributor

keras.utils.set_random_seed(0)
tokens = keras.Input((None,), dtype="int32")
normal = keras.initializers.RandomNormal(stddev=1.0)
x = layers.Embedding(
    9, 4, mask_zero=True, embeddings_initializer=normal, name="embedding"
)(tokens)
model = keras.Model(tokens, layers.Dense(2)(layers.GRU(4)(x)))
found = Attributor(model).explain(np.array([[2, 3, 4, 5], [7, 8, 0, 0]], "int32"))
print(json.dumps([found.values.tolist(), found.gaps.tolist()]))
"""


class _PairBag(layers.Layer):
    """Sums rows for pairs of neighbours, and a bias."""

    def build(self, input_shape):
        self.rows = self.add_weight(shape=(10, 10, 4), initializer="random_normal")
        self.bias = self.add_weight(shape=(4,), initializer="random_normal")

    def call(self, tokens):
        return ops.sum(self._pairs(tokens), axis=1) + self.bias

    def word_contributions(self, tokens):
        half = self._pairs(tokens) / 2
        first = ops.pad(half, [[0, 0], [0, 1], [0, 0]])
        return first + ops.pad(half, [[0, 0], [1, 0], [0, 0]])

    def _pairs(self, tokens):
        rows = ops.take(ops.reshape(self.rows, (100, 4)), self._places(tokens), axis=0)
        return rows * ops.cast(tokens[:, 1:] > 0, "float32")[..., None]

    def _places(self, tokens):
        return tokens[:, :-1] * 10 + tokens[:, 1:]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4)


@pytest.fixture(scope="module")
def explained(text_model):
    """Models and their attributors, by kind."""
    models = {kind: text_model(kind) for kind in ("lstm", "cnn", "sum")}
    return {kind: (model, Attributor(model)) for kind, model in models.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "gap"), [("lstm", 1e-4), ("cnn", 3e-3), ("sum", 1e-5)]
)
def test_attributions_are_complete(explained, kind, gap):
    model, attributor = explained[kind]
    found = attributor.explain(_TOKENS)
    logits = model(_TOKENS, training=False).numpy()
    np.testing.assert_allclose(found.logits, logits, atol=1e-5)
    targets = logits.argmax(1)[:, None]
    change = np.take_along_axis(logits - found.baseline_logits, targets, 1)[:, 0]
    assert np.abs(change).max() > 0.2
    np.testing.assert_allclose(found.values.sum(1), change, atol=gap)
    np.testing.assert_allclose(found.gaps, found.values.sum(1) - change, atol=1e-6)


@pytest.mark.slow
def test_ngrams_are_attributed_to_their_first_word():
    keras.utils.set_random_seed(0)
    model = build_recurrent_classifier(12, 3, embedding_dim=6, units=5, ngrams=2)
    table = model.get_layer("embedding").table
    table.assign(np.random.default_rng(0).normal(size=table.shape))
    found = Attributor(model).explain(_TOKENS)
    assert np.abs(found.logits - found.baseline_logits).max() > 0.2
    assert np.abs(found.gaps).max() < 3e-3
    np.testing.assert_array_equal(found.values[_TOKENS == 0], 0)


def test_a_single_point_on_the_line_is_not_complete(explained):
    # With the default number of points, it is complete: see above.
    model, _ = explained["lstm"]
    assert np.abs(Attributor(model, steps=1).explain(_TOKENS).gaps).max() > 0.02


def test_words_of_a_sum_get_their_contribution_to_the_logit(text_model):
    model = text_model("sum")
    (table,) = model.get_layer("embedding").get_weights()
    kernel, _ = model.get_layer("logits").get_weights()
    targets = model(_TOKENS).numpy().argmax(1)
    expected = (table @ kernel)[_TOKENS, targets[:, None]] * (_TOKENS > 0)
    values = Attributor(model, steps=1).explain(_TOKENS).values
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_values_are_the_integral_of_the_gradients(explained):
    model, attributor = explained["lstm"]
    embedding, lstm = model.layers[1], model.layers[2]
    embedded = embedding(_TOKENS[2:3, :5])
    target = int(model(_TOKENS[2:3]).numpy().argmax())
    points = (np.arange(400) + 0.5).astype("float32") / 400
    with tf.GradientTape() as tape:
        scaled = points[:, np.newaxis, np.newaxis] * embedded
        tape.watch(scaled)
        logits = model.get_layer("logits")(lstm(scaled))[:, target]
    gradients = tape.gradient(logits, scaled).numpy()
    expected = (gradients.mean(axis=0) * embedded[0].numpy()).sum(-1)
    values = attributor.explain(_TOKENS).values
    np.testing.assert_allclose(values[2, :5], expected, atol=1e-4)


def test_padding_gets_zero_and_changes_nothing(explained):
    _, attributor = explained["lstm"]
    values = attributor.explain(_TOKENS).values
    assert not values[_TOKENS == 0].any()
    alone = attributor.explain(_TOKENS[1:2, :3]).values
    np.testing.assert_allclose(values[1:2, :3], alone, atol=1e-5)


def test_layer_with_word_contributions_is_used():
    keras.utils.set_random_seed(0)
    tokens = keras.Input((None,), dtype="int32")
    bag = _PairBag(name="features")(tokens)
    model = keras.Model(tokens, layers.Dense(2, name="logits")(bag))
    found = Attributor(model).explain(_TOKENS)
    np.testing.assert_allclose(found.gaps, 0, atol=1e-6)
    targets = found.logits.argmax(1)
    kernel = model.get_layer("logits").get_weights()[0]
    parts = model.get_layer("features").word_contributions(_TOKENS).numpy()
    expected = (parts @ kernel)[np.arange(4), :, targets]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    # Each word of a pair gets half of the pair's contribution.
    assert abs(found.values).max() > 0.01
    curved = layers.Dense(2)(layers.Dense(5, "tanh")(bag))
    found = Attributor(keras.Model(tokens, curved)).explain(_TOKENS)
    np.testing.assert_allclose(found.gaps, 0, atol=1e-5)


def test_graph_agrees_with_arrays(explained):
    _, attributor = explained["cnn"]
    found = attributor.explain(_TOKENS)
    logits, values = tf.function(attributor.__call__, autograph=False)(
        tf.constant(_TOKENS)
    )
    np.testing.assert_allclose(logits, found.logits, atol=1e-6)
    np.testing.assert_allclose(values, found.values, atol=1e-6)


def test_texts_one_by_one_agree_with_the_graph(explained):
    # This is what other backends do.
    _, attributor = explained["lstm"]
    found = attributor.explain(_TOKENS)
    logits, values, baseline = attributor._explain_one_by_one(_TOKENS)
    np.testing.assert_allclose(logits, found.logits, atol=1e-6)
    np.testing.assert_allclose(values, found.values, atol=1e-5)
    np.testing.assert_allclose(baseline, found.baseline_logits, atol=1e-6)


def test_more_texts_than_a_batch_are_explained_in_order(explained):
    _, attributor = explained["sum"]
    single = attributor.explain(_TOKENS)
    many = attributor.explain(np.concatenate([_TOKENS] * 11))
    np.testing.assert_allclose(many.values, np.tile(single.values, (11, 1)), atol=1e-5)
    assert many.gaps.shape == (44,)


def test_explained_model_is_unchanged(text_model, tmp_path):
    model = text_model("cnn")
    before = model(_TOKENS).numpy()
    Attributor(model).explain(_TOKENS)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    np.testing.assert_allclose(model(_TOKENS), before)
    np.testing.assert_allclose(loaded(_TOKENS), before, atol=1e-6)


def test_model_without_a_suitable_layer_is_refused():
    tokens = keras.Input((4,), name="tokens")
    model = keras.Model(tokens, layers.Dense(2, name="logits")(tokens))
    with pytest.raises(ValueError, match=r"`embedding`, or one.*tokens, logits"):
        Attributor(model)


def test_no_steps_are_refused(text_model):
    with pytest.raises(ValueError, match=r"`steps` must be at least 1.*steps=0"):
        Attributor(text_model("sum"), steps=0)


@pytest.mark.full
def test_attributions_are_complete_on_jax():
    done = subprocess.run(
        [sys.executable, "-c", _JAX],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
        timeout=300,
    )
    values, gaps = json.loads(done.stdout)
    assert np.abs(gaps).max() < 1e-4
    assert values[1][2:] == [0, 0]
    assert np.abs(values[1][:2]).min() > 0
