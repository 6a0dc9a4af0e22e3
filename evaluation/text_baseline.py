"""A baseline for text classifiers to beat: a linear model on word counts."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

# From this many texts on, words that occur in one text only are dropped.
_LARGE = 1000


def fit_linear_baseline(
    train_texts: Sequence[str],
    train_labels: np.ndarray,
    test_texts: Sequence[str],
    test_labels: np.ndarray,
) -> dict[str, Any]:
    """Fits a linear support vector machine on TF-IDF of words and word pairs.

    Args:
        train_texts: Training texts.
        train_labels: Their classes, integer `(n,)`, at least two different ones.
        test_texts: Test texts.
        test_labels: Their classes.

    Returns:
        `accuracy` on the test texts, `seconds` of fitting and testing, and
        `num_features`, the number of words and word pairs.

    Reference:
        [Wang and Manning, 2012](https://aclanthology.org/P12-2018)
    """
    began = time.perf_counter()
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2 if len(train_texts) >= _LARGE else 1,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        train = vectorizer.fit_transform(train_texts)
    except ValueError:  # No text has a word of at least two letters.
        predictions, num_features = np.bincount(train_labels).argmax(), 0
    else:
        classifier = LinearSVC(random_state=0).fit(train, train_labels)
        predictions = classifier.predict(vectorizer.transform(test_texts))
        num_features = train.shape[1]
    return {
        "accuracy": float(np.mean(predictions == test_labels)),
        "seconds": time.perf_counter() - began,
        "num_features": int(num_features),
    }
