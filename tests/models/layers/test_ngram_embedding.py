import keras
import numpy as np
import pytest

from modelyard.models import (
    NgramEmbedding,
    build_ngram_classifier,
    build_recurrent_classifier,
    build_text_cnn,
    set_word_vectors,
)
from modelyard.models.layers.ngram_bag import ngram_ids

TOKENS = np.array([[2, 3, 2, 4, 0, 0], [4, 0, 0, 0, 0, 0], [5, 4, 3, 2, 3, 2]], "int32")


def test_vector_of_a_word_is_the_sum_of_the_ngrams_that_begin_there():
    layer = NgramEmbedding(6, 4, ngrams=3, buckets=50)
    layer.build(TOKENS.shape)
    table = np.random.default_rng(0).normal(size=layer.table.shape)
    table = table.astype("float32")
    layer.set_weights([table])
    ids = keras.ops.convert_to_numpy(ngram_ids(TOKENS, 3, 6, 50))
    for text, rows, vectors in zip(TOKENS, ids, layer(TOKENS), strict=True):
        for word, row, vector in zip(text, rows, vectors, strict=True):
            expected = table[row[row > 0]].sum(0) if word else np.zeros(4)
            np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_untrained_ngrams_have_no_effect():
    keras.utils.set_random_seed(0)
    vectors = keras.ops.convert_to_numpy(NgramEmbedding(6, 4, ngrams=3)(TOKENS))
    # The same word, with different words after it.
    np.testing.assert_array_equal(vectors[0, 0], vectors[0, 2])
    assert 0 < np.abs(vectors[0, 0]).max() <= 0.05
    assert np.abs(vectors[0, 0] - vectors[0, 1]).max() > 0


def test_order_of_words_matters_after_training():
    layer = NgramEmbedding(6, 4, buckets=50)
    layer.build(TOKENS.shape)
    layer.table.assign(np.random.default_rng(0).normal(size=layer.table.shape))
    one, other = keras.ops.convert_to_numpy(layer(np.array([[2, 3, 4], [3, 2, 4]])))
    assert np.abs(one.sum(0) - other.sum(0)).max() > 0.1


def test_padding_is_masked():
    mask = NgramEmbedding(6, 4).compute_mask(TOKENS)
    np.testing.assert_array_equal(mask, TOKENS > 0)


@pytest.mark.parametrize("ngrams", [1, 2])
def test_word_vectors_are_set_where_they_are_known(ngrams):
    model = build_recurrent_classifier(6, 2, embedding_dim=4, units=2, ngrams=ngrams)
    (before,) = model.get_layer("embedding").get_weights()
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    vectors[[0, 3]] = 0
    set_word_vectors(model, vectors)
    (after,) = model.get_layer("embedding").get_weights()
    known = [1, 2, 4, 5]
    np.testing.assert_array_equal(after[known], vectors[known])
    others = np.setdiff1d(np.arange(len(before)), known)
    np.testing.assert_array_equal(after[others], before[others])


def test_word_vectors_of_another_shape_are_refused():
    model = build_text_cnn(6, 2, embedding_dim=4)
    with pytest.raises(ValueError, match=r"the shape .* \(6, 4\)\. .*shape=\(6, 5\)"):
        set_word_vectors(model, np.ones((6, 5)))


def test_model_without_word_vectors_is_refused():
    with pytest.raises(ValueError, match=r"`model` must have .* `embedding`"):
        set_word_vectors(build_ngram_classifier(6, 2), np.ones((6, 2)))
