import numpy as np
import pytest

from modelyard.data.texts.token_lists import TokenLists
from modelyard.training.word_vectors import count_word_vectors, nearest_words

_PAIRS = ((2, 3), (4, 5))  # Words with the same contexts.
_PLACES = ((6, 7), (8, 9))


def _tokens(texts):
    ids = np.concatenate([np.array(text, np.int32) for text in texts])
    offsets = np.cumsum([0, *(len(text) for text in texts)])
    return TokenLists(ids, offsets)


@pytest.fixture
def tokens():
    """Texts of one word of a pair, between the two context words of that pair."""
    rng = np.random.default_rng(0)
    texts = []
    for i in range(200):
        before, behind = _PLACES[i % 2]
        texts.append([before, rng.choice(_PAIRS[i % 2]), behind])
    return _tokens(texts)


def test_words_with_the_same_contexts_are_nearest(tokens):
    vectors = count_word_vectors(tokens, 10, 4)
    names = [str(i) for i in range(10)]
    for first, second in _PAIRS:
        assert nearest_words(vectors, names, first, count=1) == [str(second)]
        assert nearest_words(vectors, names, second, count=1) == [str(first)]


def test_vectors_factorise_smoothed_positive_mutual_information():
    rng = np.random.default_rng(0)
    texts = [rng.integers(2, 8, rng.integers(1, 6)).tolist() for _ in range(30)]
    counts = np.zeros((8, 8))
    for text in texts:
        for i, word in enumerate(text):
            for j, other in enumerate(text):
                if 0 < abs(i - j) <= 3:
                    counts[word, other] += (4 - abs(i - j)) / 3
    words, contexts = counts.sum(1), counts.sum(1) ** 0.75
    chance = np.outer(words, contexts) / contexts.sum()
    information = np.zeros((8, 8))
    seen = counts > 0
    information[seen] = np.maximum(np.log(counts[seen] / chance[seen]), 0)
    left, values, _ = np.linalg.svd(information)
    expected = left * np.sqrt(values)
    expected *= 0.15 / np.sqrt(np.mean(expected[2:] ** 2))
    vectors = count_word_vectors(_tokens(texts), 8, 8, window=3)
    # The signs of the dimensions are arbitrary.
    np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-5)
    fewer = count_word_vectors(_tokens(texts), 8, 3, window=3)
    scale = np.sqrt(np.mean(expected[2:, :3] ** 2)) / 0.15
    np.testing.assert_allclose(
        fewer @ fewer.T * scale**2, expected[:, :3] @ expected[:, :3].T, atol=1e-5
    )


def test_words_of_different_texts_are_no_neighbours():
    together = count_word_vectors(_tokens([[2, 3, 2, 3, 4]]), 5, 3)
    apart = count_word_vectors(_tokens([[2, 3, 2, 3], [4]]), 5, 3)
    assert together[4].any()
    assert not apart[4].any()


def test_words_beyond_the_window_are_no_neighbours():
    tokens = _tokens([[2, 3, 4], [2, 3, 4]])
    near, far = (count_word_vectors(tokens, 5, 3, window=w) for w in (1, 2))
    assert not np.allclose(near @ near.T, far @ far.T, atol=1e-3)


def test_padding_and_unknown_words_have_no_vectors(tokens):
    ids = tokens.ids.copy()
    ids[ids == 6] = 1
    vectors = count_word_vectors(TokenLists(ids, tokens.offsets), 10, 4)
    assert not vectors[:2].any()
    assert not vectors[6].any()
    assert vectors.dtype == np.float32
    known = vectors[vectors.any(axis=1)]
    assert len(known) == 7
    assert np.sqrt(np.mean(known**2)) == pytest.approx(0.15, rel=1e-5)


def test_same_seed_gives_the_same_vectors(tokens):
    first, again = (count_word_vectors(tokens, 10, 4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_more_dimensions_than_words_are_zeros(tokens):
    vectors = count_word_vectors(tokens, 10, 16)
    assert vectors.shape == (10, 16)
    assert not vectors[:, 10:].any()


@pytest.mark.parametrize("texts", [[[2], [3], [2]], [[1, 1, 1]]])
def test_texts_without_neighbours_give_zeros(texts):
    vectors = count_word_vectors(_tokens(texts), 4, 2)
    np.testing.assert_array_equal(vectors, np.zeros((4, 2)))


def test_nearest_words_skip_words_without_a_vector():
    vectors = np.array([[0, 0], [1, 0], [2, 0.1], [0, 1]], np.float32)
    assert nearest_words(vectors, "abcd", 1, count=9) == ["c", "d"]
