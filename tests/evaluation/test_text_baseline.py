import numpy as np
import pytest

from modelyard.evaluation.text_baseline import fit_linear_baseline


def _texts(count, seed):
    """Texts whose class depends on the order of two adjacent words."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    words = np.array(["plot", "scene", "actor", "music"])
    texts = [
        " ".join([*rng.choice(words, 5), "not good" if label else "good not"])
        for label in labels
    ]
    return np.array(texts, object), labels


def test_baseline_learns_pairs_of_words():
    result = fit_linear_baseline(*_texts(200, 0), *_texts(60, 1))
    assert result["accuracy"] > 0.95
    assert set(result) == {"accuracy", "seconds", "num_features"}
    assert result["seconds"] > 0
    # Six words, and pairs of them.
    assert 20 < result["num_features"] < 42


def test_rare_words_of_large_sets_are_dropped():
    texts, labels = _texts(1000, 0)
    texts[0] += " hapax"
    few = fit_linear_baseline(texts, labels, *_texts(10, 1))
    every = fit_linear_baseline(texts[:999], labels[:999], *_texts(10, 1))
    assert few["num_features"] == every["num_features"] - 2


def test_two_fits_agree():
    results = [fit_linear_baseline(*_texts(50, 0), *_texts(60, 1)) for _ in range(2)]
    assert results[0]["accuracy"] == results[1]["accuracy"]


def test_texts_without_words_get_the_most_frequent_class():
    texts, labels = np.array(["!", "?", "", ":)"], object), np.array([2, 2, 0, 1])
    result = fit_linear_baseline(texts, labels, texts, labels)
    assert result["accuracy"] == pytest.approx(0.5)
    assert result["num_features"] == 0
