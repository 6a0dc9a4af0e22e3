import keras
import numpy as np
import pytest

from modelyard.models import (
    build_ngram_classifier,
    build_text_cnn,
    set_naive_bayes_scales,
)

TEXTS = [[2, 3, 2, 3], [4], [3, 4, 5, 2, 2]]
TOKENS = np.array([[2, 3, 2, 3, 0], [4, 0, 0, 0, 0], [3, 4, 5, 2, 2]], "int32")
LABELS = np.array([0, 1, 1])


def _bag(**options):
    return build_ngram_classifier(6, 2, **options).get_layer("features")


def _hash(words, buckets):
    """The row of an n-gram, computed with Python integers."""
    hashed = words[0]
    for word in words[1:]:
        hashed = (hashed * -1640531535 + word) * -2048144789
    hashed = (hashed + 2**31) % 2**32 - 2**31
    return (hashed ^ (hashed >> 15)) % buckets


def _fill(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))


def test_every_ngram_has_the_row_of_its_hash():
    ids = keras.ops.convert_to_numpy(_bag(ngrams=3, buckets=1000).ngram_ids(TOKENS))
    assert ids.shape == (3, 5, 3)
    np.testing.assert_array_equal(ids[..., 0], TOKENS)
    for text, row in zip(TEXTS, ids, strict=True):
        for n in (2, 3):
            rows = [6 + _hash(text[i : i + n], 1000) for i in range(len(text) - n + 1)]
            expected = rows + [0] * (5 - len(rows))
            np.testing.assert_array_equal(row[:, n - 1], expected)


def test_large_ids_are_spread_evenly():
    bag = build_ngram_classifier(200_000, 2, buckets=1024).get_layer("features")
    tokens = np.random.default_rng(0).integers(1, 200_000, (20, 5000), "int32")
    ids = keras.ops.convert_to_numpy(bag.ngram_ids(tokens))[:, :-1, 1] - 200_000
    counts = np.bincount(ids.ravel(), minlength=1024)
    assert len(counts) == 1024
    # Chance alone would give 97.6 with a standard deviation of 9.9.
    assert 8.5 < counts.std() < 11.5


@pytest.mark.parametrize("unique", [True, False])
def test_sum_is_that_of_the_rows_of_the_text(unique):
    model = build_ngram_classifier(6, 2, buckets=50, unique=unique)
    _fill(model)
    bag = model.get_layer("features")
    table, bias, scale = (weight.numpy() for weight in bag.weights)
    ids = keras.ops.convert_to_numpy(bag.ngram_ids(TOKENS)).reshape(3, -1)
    for logits, row in zip(model.predict(TOKENS, verbose=0), ids, strict=True):
        row = row[row > 0]
        row = np.unique(row) if unique else row
        expected = bias + (scale * table)[row].sum(0)
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_vectors_are_averaged():
    model = build_ngram_classifier(6, 2, ngrams=1, embedding_dim=3, unique=False)
    table = model.get_layer("features").table.numpy()
    features = model.get_layer("features")(TOKENS)
    expected = [table[text].mean(0) for text in TEXTS]
    np.testing.assert_allclose(features, expected, atol=1e-6)


@pytest.mark.parametrize("embedding_dim", [None, 3])
@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_contributions_of_the_words_sum_to_the_features(ngrams, unique, embedding_dim):
    model = build_ngram_classifier(
        6, 2, ngrams=ngrams, unique=unique, embedding_dim=embedding_dim, buckets=50
    )
    _fill(model)
    bag = model.get_layer("features")
    parts = keras.ops.convert_to_numpy(bag.word_contributions(TOKENS))
    assert parts.shape == (3, 5, embedding_dim or 2)
    assert not np.any(parts[TOKENS == 0])
    bias = 0 if embedding_dim else bag.bias.numpy()
    expected = keras.ops.convert_to_numpy(bag(TOKENS))
    np.testing.assert_allclose(parts.sum(1) + bias, expected, rtol=1e-4, atol=1e-5)


def test_repeated_words_share_their_contribution():
    model = build_ngram_classifier(6, 2, ngrams=1)
    _fill(model)
    bag = model.get_layer("features")
    parts = keras.ops.convert_to_numpy(bag.word_contributions(TOKENS))
    np.testing.assert_allclose(parts[0, 0], parts[0, 2])
    np.testing.assert_allclose(parts[0, 0] * 2, parts[2, 3] * 2, rtol=1e-5)
    _, _, scale = (weight.numpy() for weight in model.weights)
    table = model.weights[0].numpy()
    np.testing.assert_allclose(parts[0, 0], (scale * table)[2] / 2, rtol=1e-5)


class _Flat:
    ids = np.concatenate(TEXTS)
    offsets = np.array([0, 4, 5, 10])


@pytest.mark.parametrize("tokens", [TEXTS, _Flat()], ids=["lists", "flat"])
def test_naive_bayes_scales_are_log_count_ratios(tokens):
    model = build_ngram_classifier(6, 2, ngrams=1)
    set_naive_bayes_scales(model, tokens, LABELS, strength=0.5)
    scale = model.get_layer("features").scale.numpy()
    # Number of texts of each class with the words 2 to 5, plus one.
    first, second = np.array([2, 2, 1, 1]), np.array([2, 2, 3, 2])
    ratio = np.log(first / first.sum()) - np.log(second / second.sum())
    np.testing.assert_allclose(scale[2:, 0], 0.5 * ratio, rtol=1e-5)
    np.testing.assert_allclose(scale[2:, 1], -0.5 * ratio, rtol=1e-5)
    assert not np.any(scale[:2])


def test_naive_bayes_compares_each_of_three_classes_with_the_others():
    model = build_ngram_classifier(6, 3, ngrams=1)
    set_naive_bayes_scales(model, [[2], [3], [4]], np.arange(3), strength=1.0)
    scale = model.get_layer("features").scale.numpy()
    # 2 of 4 counts in its class against 1 of 5 in the others.
    np.testing.assert_allclose(
        np.diag(scale[2:5]), np.log((2 / 4) / (1 / 5)), rtol=1e-5
    )
    np.testing.assert_allclose(scale[3, 0], np.log((1 / 4) / (2 / 5)), rtol=1e-5)


def test_scaled_model_learns_fast_and_keeps_its_scales():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    # Word 3 comes before or after word 2: only bigrams distinguish the classes.
    texts = [
        [*rng.integers(4, 9, rng.integers(1, 40)), *((2, 3) if label else (3, 2))]
        for label in labels
    ]
    model = build_ngram_classifier(9, 2, buckets=4096)
    tokens = np.zeros((60, 42), "int32")
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = text
    set_naive_bayes_scales(model, texts, labels)
    model.compile(
        keras.optimizers.Adam(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    before = model.get_layer("features").scale.numpy()
    model.fit(tokens, labels, epochs=15, verbose=0)
    predicted = model.predict(tokens, verbose=0).argmax(-1)
    assert np.mean(predicted == labels) > 0.9
    np.testing.assert_array_equal(model.get_layer("features").scale.numpy(), before)


def test_dropout_drops_ngrams_in_training_only():
    model = build_ngram_classifier(6, 2, dropout=0.5)
    _fill(model)
    np.testing.assert_array_equal(model(TOKENS), model(TOKENS, training=False))
    assert np.any(model(TOKENS) != model(TOKENS, training=True))


def test_l2_penalty_is_that_of_the_table():
    model = build_ngram_classifier(6, 2, buckets=10, l2=0.5)
    _fill(model)
    table = model.get_layer("features").table.numpy()
    np.testing.assert_allclose(model.losses[0], 0.5 * np.square(table).sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing": 0}, r"`smoothing` must be above 0\. .*smoothing=0"),
        ({"strength": -1}, r"`strength` must be above 0\. .*strength=-1"),
        (
            {"labels": LABELS[:2]},
            r"`labels` must have one .*2 labels \[0, 1\], 3 texts",
        ),
        ({"labels": np.zeros(3, int)}, r"all classes 0 to 1\. .*3 labels \[0\]"),
    ],
)
def test_bad_naive_bayes_arguments_are_named(options, message):
    labels = options.pop("labels", LABELS)
    model = build_ngram_classifier(6, 2, ngrams=1)
    with pytest.raises(ValueError, match=message):
        set_naive_bayes_scales(model, TEXTS, labels, **options)


def test_models_without_ratios_are_refused():
    with pytest.raises(ValueError, match=r"`model` must come from .*='text_cnn'"):
        set_naive_bayes_scales(build_text_cnn(6, 2), TEXTS, LABELS)
    with pytest.raises(ValueError, match="without `embedding_dim`"):
        set_naive_bayes_scales(
            build_ngram_classifier(6, 2, ngrams=1, embedding_dim=3), TEXTS, LABELS
        )
