import keras
import numpy as np

from modelyard.models import NgramEmbedding
from modelyard.models.ngram_bag import ngram_ids

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


def test_untrained_ngrams_say_nothing():
    keras.utils.set_random_seed(0)
    vectors = keras.ops.convert_to_numpy(NgramEmbedding(6, 4, ngrams=3)(TOKENS))
    np.testing.assert_array_equal(vectors[0, 0], vectors[0, 2])  # Others behind it.
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
