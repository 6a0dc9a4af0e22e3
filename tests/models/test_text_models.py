"""What holds for every builder of text classifiers."""

import keras
import numpy as np
import pytest

from modelyard.models import (
    build_ngram_classifier,
    build_recurrent_classifier,
    build_text_cnn,
    build_transformer_classifier,
)

from .cases import TEXTS, TOKENS, VOCABULARY, predict

BUILDERS = {
    "ngram_classifier": build_ngram_classifier,
    "text_cnn": build_text_cnn,
    "recurrent_classifier": build_recurrent_classifier,
    "transformer_classifier": build_transformer_classifier,
}
all_cases = pytest.mark.parametrize("case", TEXTS)
all_families = pytest.mark.parametrize("family", BUILDERS)


@all_families
def test_model_maps_tokens_to_logits(family):
    model = BUILDERS[family](VOCABULARY, 7, **_small(family))
    assert model.name == family
    assert model.inputs[0].name == "tokens"
    assert keras.backend.standardize_dtype(model.inputs[0].dtype) == "int32"
    assert model.input_shape == (None, None)
    assert model.output_shape == (None, 7)
    assert model.layers[-1].name == "logits"
    assert not model.compiled
    assert model(TOKENS).shape == (4, 7)
    assert BUILDERS[family](9, 2, name="mine", **_small(family)).name == "mine"


@pytest.mark.slow
@all_cases
def test_padding_never_changes_a_prediction(case, shared):
    model = shared(case)
    expected = predict(model, TOKENS)
    assert np.ptp(expected, axis=0).min() > 1e-4  # The texts differ.
    for more in (1, 9):
        padded = np.pad(TOKENS, ((0, 0), (0, more)))
        np.testing.assert_allclose(predict(model, padded), expected, atol=1e-5)
    alone = predict(model, TOKENS[1:2, :5])
    np.testing.assert_allclose(alone, expected[1:2], atol=1e-5)


@all_cases
def test_a_text_of_padding_has_finite_logits(case, shared):
    assert np.isfinite(predict(shared(case), np.zeros((2, 5), "int32"))).all()


@all_cases
def test_model_reloads_with_the_same_answers(case, shared, tmp_path):
    model = shared(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded, TOKENS), predict(model, TOKENS))


@pytest.mark.slow
@all_cases
def test_training_changes_every_weight_and_lowers_the_loss(case, build_filled):
    model = build_filled(case)
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # A graph of these sizes takes longer to build than to run.
    )
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    labels = np.array([0, 1, 2, 0])
    losses = [model.train_on_batch(TOKENS, labels) for _ in range(2)]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
    if "twice" not in case:  # Its dropout makes the loss jump.
        assert losses[-1] < losses[0]


@all_cases
def test_logits_are_computed_from_the_features(case, shared):
    model = shared(case)
    outputs = [model.get_layer("features").output, model.output]
    features, logits = keras.Model(model.input, outputs)(TOKENS)
    weights = model.get_layer("logits").get_weights()
    expected = keras.ops.convert_to_numpy(features)
    if weights:
        expected = expected @ weights[0] + weights[1]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in TEXTS if "ngram" not in case])
def test_words_act_through_their_vectors_only(case, build_filled):
    model = build_filled(case)
    embedding = model.get_layer("embedding")
    vectors = embedding.get_weights()[0]
    vectors[VOCABULARY // 2 :] = vectors[: VOCABULARY // 2]
    embedding.set_weights([vectors])
    others = np.where(TOKENS > VOCABULARY // 2, TOKENS - VOCABULARY // 2, TOKENS)
    assert np.any(others != TOKENS)
    expected = predict(model, TOKENS)
    np.testing.assert_allclose(predict(model, others), expected, atol=1e-6)


@pytest.mark.slow
@all_cases
@pytest.mark.usefixtures("mixed_bfloat16")
def test_logits_are_float32_and_near_under_mixed_bfloat16(case, build_filled, shared):
    model = build_filled(case)
    exact = predict(shared(case), TOKENS)
    model.set_weights(shared(case).get_weights())
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
    logits = model(TOKENS)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.abs(keras.ops.convert_to_numpy(logits) - exact).max() < 0.05


@pytest.mark.parametrize("family", sorted(BUILDERS.keys() - {"ngram_classifier"}))
def test_dropout_acts_in_training_only(family):
    model = BUILDERS[family](VOCABULARY, 3, embedding_dropout=0.5, dropout=0.5)
    names = {layer.name for layer in model.layers}
    assert {"dropout", "embedding_dropout"} <= names
    np.testing.assert_array_equal(model(TOKENS), model(TOKENS, training=False))
    assert np.any(model(TOKENS) != model(TOKENS, training=True))
    none = BUILDERS[family](VOCABULARY, 3, embedding_dropout=0.0, dropout=0.0)
    assert not any(isinstance(x, keras.layers.Dropout) for x in none.layers)


@all_families
@pytest.mark.parametrize(
    ("vocabulary_size", "num_classes", "options", "message"),
    [
        (1, 2, {}, r"`vocabulary_size` must be an integer of at least 2\. .*=1"),
        (9.0, 2, {}, r"`vocabulary_size` must be an integer.*=9\.0"),
        (9, 1, {}, r"`num_classes` .*at least 2\. .*num_classes=1"),
        (9, 2, {"dropout": 1}, r"`dropout` must .*dropout=1"),
        (9, 2, {"embedding_dim": 0}, r"`embedding_dim` must .*embedding_dim=0"),
        (9, 2, {"embedding_dim": True}, r"`embedding_dim` must .*=True"),
    ],
)
def test_bad_argument_is_named(family, vocabulary_size, num_classes, options, message):
    with pytest.raises(ValueError, match=message):
        BUILDERS[family](vocabulary_size, num_classes, **options)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("ngram_classifier", {"ngrams": 6}, r"`ngrams` .* from 1 to 5\. .*ngrams=6"),
        ("ngram_classifier", {"buckets": 0}, r"`buckets` must .*buckets=0"),
        ("ngram_classifier", {"l2": -1}, r"`l2` must be at least 0\. .*l2=-1"),
        ("text_cnn", {"widths": ()}, r"`widths` must .*widths=\(\)"),
        ("text_cnn", {"filters": 0}, r"`filters` must .*filters=0"),
        ("text_cnn", {"embedding_dropout": 1}, r"`embedding_dropout` must .*=1"),
        ("text_cnn", {"activation": "relo"}, r'`activation` .*mean "relu"'),
        ("recurrent_classifier", {"cell": "lstn"}, r'`cell` .*mean "lstm"'),
        ("recurrent_classifier", {"units": 0}, r"`units` must .*units=0"),
        ("recurrent_classifier", {"num_layers": 0}, r"`num_layers` .*num_layers=0"),
        ("recurrent_classifier", {"ngrams": 0}, r"`ngrams` .* 1 to 5\. .*ngrams=0"),
        ("recurrent_classifier", {"pooling": "sum"}, r"`pooling` .*'sum'"),
        (
            "recurrent_classifier",
            {"cell": "gru", "weight_drop": 0.5},
            r"`weight_drop` needs .*weight_drop=0\.5, cell='gru'",
        ),
        ("transformer_classifier", {"mixing": "mean"}, r"`mixing` must .*'mean'"),
        ("transformer_classifier", {"pooling": "last"}, r"`pooling` must .*'last'"),
        ("transformer_classifier", {"embedding_dim": 9}, r"even and .*_dim=9"),
        ("transformer_classifier", {"num_heads": 3}, r"divisible .*num_heads=3"),
        ("transformer_classifier", {"buckets": 0}, r"`buckets` must .*buckets=0"),
        ("transformer_classifier", {"hidden_dim": 0}, r"`hidden_dim` must .*=0"),
    ],
)
def test_bad_option_is_named(family, options, message):
    with pytest.raises(ValueError, match=message):
        BUILDERS[family](9, 2, **options)


def _small(family):
    return {"buckets": 64} if family == "ngram_classifier" else {}
