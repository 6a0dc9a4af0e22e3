"""What holds for every builder of text classifiers."""

import keras
import numpy as np
import pytest

from modelyard.models import TEXT_BUILDERS

from .text_cases import CASES

VOCABULARY = 30
all_cases = pytest.mark.parametrize("case", CASES)
all_families = pytest.mark.parametrize("family", TEXT_BUILDERS)


@pytest.fixture
def tokens():
    """Four texts of 11, 5, 1 and 9 words."""
    tokens = np.random.default_rng(0).integers(1, VOCABULARY, (4, 11), "int32")
    return np.where(np.arange(11) < [[11], [5], [1], [9]], tokens, 0)


def _build(case, num_classes=3):
    keras.utils.set_random_seed(0)
    family, options = CASES[case]
    model = TEXT_BUILDERS[family](VOCABULARY, num_classes, **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # What starts as zeros or ones, as training would leave it.
        if weight.name in {"table", "bias", "query", "gamma", "beta", "scale"}:
            weight.assign(rng.normal(0.5, 0.3, weight.shape))
    return model


def _predict(model, tokens):
    return keras.ops.convert_to_numpy(model(tokens, training=False))


def test_every_family_has_a_case():
    assert {family for family, _ in CASES.values()} == TEXT_BUILDERS.keys()


@all_families
def test_model_maps_tokens_to_logits(family, tokens):
    model = TEXT_BUILDERS[family](VOCABULARY, 7, **_small(family))
    assert model.name == family
    assert model.inputs[0].name == "tokens"
    assert keras.backend.standardize_dtype(model.inputs[0].dtype) == "int32"
    assert model.input_shape == (None, None)
    assert model.output_shape == (None, 7)
    assert model.layers[-1].name == "logits"
    assert not model.compiled
    assert model(tokens).shape == (4, 7)
    assert TEXT_BUILDERS[family](9, 2, name="mine", **_small(family)).name == "mine"


@all_cases
def test_padding_never_changes_a_prediction(case, tokens):
    model = _build(case)
    expected = _predict(model, tokens)
    assert np.ptp(expected, axis=0).min() > 1e-4  # The texts do differ.
    for more in (1, 30):
        padded = np.pad(tokens, ((0, 0), (0, more)))
        np.testing.assert_allclose(_predict(model, padded), expected, atol=1e-5)
    alone = _predict(model, tokens[1:2, :5])
    np.testing.assert_allclose(alone, expected[1:2], atol=1e-5)


@all_cases
def test_a_text_of_padding_has_finite_logits(case):
    assert np.isfinite(_predict(_build(case), np.zeros((2, 5), "int32"))).all()


@all_cases
def test_model_reloads_with_the_same_answers(case, tokens, tmp_path):
    model = _build(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_predict(loaded, tokens), _predict(model, tokens))


@all_cases
def test_training_changes_every_weight_and_lowers_the_loss(case, tokens):
    model = _build(case)
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # A graph of these sizes takes longer to build than to run.
    )
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    labels = np.array([0, 1, 2, 0])
    losses = [model.train_on_batch(tokens, labels) for _ in range(3)]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
    if "twice" not in case:  # Its dropout makes the loss jump.
        assert losses[-1] < losses[0]


@all_cases
def test_logits_are_computed_from_the_features(case, tokens):
    model = _build(case)
    features = keras.Model(model.input, model.get_layer("features").output)(tokens)
    weights = model.get_layer("logits").get_weights()
    expected = keras.ops.convert_to_numpy(features)
    if weights:
        expected = expected @ weights[0] + weights[1]
    np.testing.assert_allclose(_predict(model, tokens), expected, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if "ngram" not in case])
def test_words_act_through_their_vectors_only(case, tokens):
    model = _build(case)
    embedding = model.get_layer("embedding")
    vectors = embedding.get_weights()[0]
    vectors[VOCABULARY // 2 :] = vectors[: VOCABULARY // 2]
    embedding.set_weights([vectors])
    others = np.where(tokens > VOCABULARY // 2, tokens - VOCABULARY // 2, tokens)
    assert np.any(others != tokens)
    expected = _predict(model, tokens)
    np.testing.assert_allclose(_predict(model, others), expected, atol=1e-6)


@all_cases
@pytest.mark.usefixtures("mixed_bfloat16")
def test_logits_are_float32_and_near_under_mixed_bfloat16(case, tokens):
    model = _build(case)
    assert keras.backend.standardize_dtype(model(tokens).dtype) == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
    keras.config.set_dtype_policy("float32")
    exact = _build(case)
    exact.set_weights(model.get_weights())
    difference = _predict(model, tokens) - _predict(exact, tokens)
    assert np.abs(difference).max() < 0.05


@pytest.mark.parametrize("family", sorted(TEXT_BUILDERS.keys() - {"ngram_classifier"}))
def test_dropout_acts_in_training_only(family, tokens):
    model = TEXT_BUILDERS[family](VOCABULARY, 3, embedding_dropout=0.5, dropout=0.5)
    names = {layer.name for layer in model.layers}
    assert {"dropout", "embedding_dropout"} <= names
    np.testing.assert_array_equal(model(tokens), model(tokens, training=False))
    assert np.any(model(tokens) != model(tokens, training=True))
    none = TEXT_BUILDERS[family](VOCABULARY, 3, embedding_dropout=0.0, dropout=0.0)
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
        TEXT_BUILDERS[family](vocabulary_size, num_classes, **options)


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
        ("recurrent_classifier", {"implementation": "x"}, r"`implementation` .*'x'"),
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
        TEXT_BUILDERS[family](9, 2, **options)


def _small(family):
    return {"buckets": 64} if family == "ngram_classifier" else {}
