"""Word vectors from co-occurrence counts."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

from modelyard.data.texts.token_lists import UNKNOWN, TokenLists

_WINDOW = 5
# Exponent of the context counts; below 1 it reduces the weight of rare contexts.
_SMOOTHING = 0.75
# Larger than that of randomly initialised vectors, because these are informative.
_ROOT_MEAN_SQUARE = 0.15


def count_word_vectors(
    tokens: TokenLists,
    vocabulary_size: int,
    dim: int,
    *,
    window: int = _WINDOW,
    seed: int = 0,
) -> np.ndarray:
    """Computes word vectors that are similar for words with similar contexts.

    Counts how often two words occur within `window` words of each other, with more
    weight for closer ones, and factorises the positive pointwise mutual information of
    the counts. The dimensions are its singular vectors, each multiplied by the square
    root of the singular value.

    Args:
        tokens: Texts.
        vocabulary_size: Number of token ids, including padding (0) and the unknown
            word (1).
        dim: Size of the vectors, at least 1.
        window: Maximum distance between two words, at least 1.
        seed: Seed of the randomised SVD.

    Returns:
        float32 `(vocabulary_size, dim)`, scaled to a root mean square of 0.15 over all
        nonzero rows. Padding, the unknown word and words without neighbours have zero
        rows; if `dim` exceeds the rank, the last columns are zero.

    Reference:
        [Levy and Goldberg, 2014](https://papers.nips.cc/paper/5477),
        [Levy et al., 2015](https://aclanthology.org/Q15-1016) (weights, smoothing)
    """
    counts = _count_neighbours(tokens, vocabulary_size, window)
    information = _positive_information(counts)
    vectors = np.zeros((vocabulary_size, dim), np.float32)
    rank = min(dim, vocabulary_size)
    left, values, _ = randomized_svd(information, rank, n_iter=4, random_state=seed)
    vectors[:, :rank] = left * np.sqrt(values)
    vectors[np.diff(information.indptr) == 0] = 0
    known = vectors[vectors.any(axis=1)]
    if len(known):
        vectors *= _ROOT_MEAN_SQUARE / np.sqrt(np.mean(known**2))
    return vectors


def nearest_words(
    vectors: np.ndarray, vocabulary: Sequence[str], word: int, *, count: int
) -> list[str]:
    """Lists the words with the highest cosine similarity to a word.

    Args:
        vectors: float32 `(n, dim)`; words with zero rows are not listed.
        vocabulary: The `n` words.
        word: Index of the word.
        count: Maximum number of words to list.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[word] / np.maximum(lengths, np.finfo(np.float32).tiny)
    cosines[lengths == 0] = -np.inf
    cosines[word] = -np.inf
    order = np.argsort(-cosines)[:count]
    return [vocabulary[i] for i in order if np.isfinite(cosines[i])]


def _count_neighbours(tokens, vocabulary_size, window):
    """Weighted co-occurrence counts, symmetric CSR `(n, n)`."""
    texts = np.repeat(np.arange(len(tokens)), tokens.lengths)
    shape = (vocabulary_size, vocabulary_size)
    counts = sp.csr_array(shape, dtype=np.float32)
    is_word = tokens.ids > UNKNOWN
    for distance in range(1, window + 1):
        first, second = tokens.ids[:-distance], tokens.ids[distance:]
        together = texts[:-distance] == texts[distance:]
        together &= is_word[:-distance] & is_word[distance:]
        pairs = (first[together], second[together])
        weights = np.full(len(pairs[0]), 1 - (distance - 1) / window, np.float32)
        counts = counts + sp.coo_array((weights, pairs), shape=shape).tocsr()
    return counts + counts.T


def _positive_information(counts):
    """Positive pointwise mutual information of words and contexts, CSR `(n, n)`."""
    counts = counts.tocoo()
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = words**_SMOOTHING
    rows, columns = counts.coords
    by_chance = words[rows] * contexts[columns] / contexts.sum()
    information = np.log(counts.data / by_chance).astype(np.float32)
    above = information > 0
    return sp.coo_array(
        (information[above], (rows[above], columns[above])), shape=counts.shape
    ).tocsr()
