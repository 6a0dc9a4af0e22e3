"""Metrics of a classifier, from its predicted probabilities."""

import numpy as np
import pandas as pd
from sklearn import metrics as sk_metrics

from modelyard.evaluation.intervals import wilson_interval

_ROW_SUM_TOLERANCE = 1e-3


def classification_metrics(scores: np.ndarray, labels: np.ndarray) -> dict:
    """Computes the metrics for `metrics.json` and the report.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).

    Returns:
        A JSON-ready dict: `accuracy`; `accuracy_interval`, its 95% Wilson interval
        `[low, high]`; `error_rate`; `num_errors`; `num_examples`; `log_loss` in nats;
        `expected_calibration_error` over 15 bins; `macro_f1`, the mean over the
        classes that occur as a label or a prediction; and, for more than five classes,
        `top5_accuracy`.

    Raises:
        ValueError: If shapes, dtypes or value ranges are not as above.

    Reference:
        [Wilson, 1927](https://doi.org/10.1080/01621459.1927.10502953),
        [Guo et al., 2017](https://arxiv.org/abs/1706.04599)
    """
    scores, labels = _check(scores, labels)
    num_examples, num_classes = scores.shape
    predictions = scores.argmax(axis=1)
    num_errors = int(np.sum(predictions != labels))
    accuracy = (num_examples - num_errors) / num_examples
    classes = np.arange(num_classes)
    result = {
        "num_examples": num_examples,
        "num_errors": num_errors,
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(accuracy, num_examples)),
        "error_rate": num_errors / num_examples,
        "log_loss": float(sk_metrics.log_loss(labels, scores, labels=classes)),
        "expected_calibration_error": _calibration_error(scores, labels),
        "macro_f1": float(
            sk_metrics.f1_score(labels, predictions, average="macro", zero_division=0)
        ),
    }
    if num_classes > 5:
        result["top5_accuracy"] = float(
            sk_metrics.top_k_accuracy_score(labels, scores, k=5, labels=classes)
        )
    return result


def reliability_bins(
    scores: np.ndarray, labels: np.ndarray, bins: int = 15
) -> pd.DataFrame:
    """Groups predictions by confidence, the score of the predicted class.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).
        bins: Number of bins of equal width; bin `i` holds the confidences in
            `(i / bins, (i + 1) / bins]`.

    Returns:
        One row per bin, lowest first: mean `confidence`, `accuracy` (both NaN for an
        empty bin) and `count`.

    Raises:
        ValueError: If an argument is not as above.

    Reference:
        [Guo et al., 2017](https://arxiv.org/abs/1706.04599)
    """
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1. Received: bins={bins}")
    scores, labels = _check(scores, labels)
    confidence = scores.max(axis=1)
    table = pd.DataFrame(
        {
            "bin": np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int),
            "confidence": confidence,
            "accuracy": scores.argmax(axis=1) == labels,
        }
    )
    groups = table.groupby("bin")
    result = groups[["confidence", "accuracy"]].mean().reindex(range(bins))
    result["count"] = groups.size().reindex(range(bins), fill_value=0)
    return result


def per_class_table(
    scores: np.ndarray, labels: np.ndarray, class_names: list[str] | tuple[str, ...]
) -> pd.DataFrame:
    """Computes precision, recall and F1 of every class.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).
        class_names: The `k` names.

    Returns:
        One row per class, named by the index: `precision`, `recall`, `f1` (0 where
        undefined) and `support`, the number of examples of the class.

    Raises:
        ValueError: If an argument is not as above.
    """
    scores, labels = _check(scores, labels)
    num_classes = scores.shape[1]
    if len(class_names) != num_classes:
        raise ValueError(
            f"`class_names` must have one name per column of `scores`, {num_classes}. "
            f"Received: len(class_names)={len(class_names)}"
        )
    columns = sk_metrics.precision_recall_fscore_support(
        labels, scores.argmax(axis=1), labels=np.arange(num_classes), zero_division=0
    )
    names = ("precision", "recall", "f1", "support")
    index = pd.Index(class_names, name="class")
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=index)


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Computes the area under the ROC curve.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).

    Returns:
        The probability that a random example of class 1 has a higher score for class 1
        than a random example of class 0; ties count half. With more than two classes,
        the mean over the one-versus-rest areas of the classes that are the label of
        some but not all examples. NaN if all labels are the same.

    Raises:
        ValueError: If an argument is not as above.

    Reference:
        [Fawcett, 2006](https://doi.org/10.1016/j.patrec.2005.10.010)
    """
    scores, labels = _check(scores, labels)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [
        sk_metrics.roc_auc_score(labels == k, scores[:, k])
        for k in classes
        if 0 < np.sum(labels == k) < len(labels)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def accuracy_by_length(
    scores: np.ndarray, labels: np.ndarray, lengths: np.ndarray, bins: int = 8
) -> pd.DataFrame:
    """Groups examples by length, into groups of about the same size.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).
        lengths: Length of each example, integer `(n,)`.
        bins: Maximum number of groups; examples of the same length stay together.

    Returns:
        One row per group, shortest first: `shortest` and `longest` length, mean
        `length`, `count`, `accuracy`, and `low` and `high`, its 95% Wilson interval.

    Raises:
        ValueError: If an argument is not as above.
    """
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1. Received: bins={bins}")
    scores, labels = _check(scores, labels)
    lengths = np.asarray(lengths)
    if lengths.shape != labels.shape or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"`lengths` must be integers of the shape {labels.shape}, one per row of "
            f"`scores`. Received: lengths.shape={lengths.shape}, "
            f"lengths.dtype={lengths.dtype}"
        )
    shares = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(lengths, shares, method="inverted_cdf"))
    table = pd.DataFrame(
        {
            "group": np.searchsorted(edges, lengths),
            "length": lengths,
            "right": scores.argmax(axis=1) == labels,
        }
    )
    result = table.groupby("group", as_index=False).agg(
        shortest=("length", "min"),
        longest=("length", "max"),
        length=("length", "mean"),
        count=("right", "size"),
        accuracy=("right", "mean"),
    )
    intervals = [
        wilson_interval(accuracy, count)
        for accuracy, count in zip(result["accuracy"], result["count"], strict=True)
    ]
    result[["low", "high"]] = np.array(intervals)
    return result.drop(columns="group")


def most_confident_mistakes(
    scores: np.ndarray, labels: np.ndarray, count: int = 25
) -> np.ndarray:
    """Finds the wrong predictions with the highest confidence.

    Args:
        scores: Probabilities, floating `(n, k)` in [0, 1] with rows that sum to 1.
        labels: True classes, integer `(n,)` in [0, k).
        count: Maximum number of indices to return.

    Returns:
        Indices of at most `count` wrongly predicted examples, int64, most confident
        first.

    Raises:
        ValueError: If an argument is not as above.
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: count={count}")
    scores, labels = _check(scores, labels)
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    order = np.argsort(-scores[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]


def choose_to_explain(
    scores: np.ndarray, labels: np.ndarray, *, right: int, wrong: int
) -> np.ndarray:
    """Chooses examples to explain.

    Args:
        scores: Probabilities, floating `(n, k)`.
        labels: True classes, integer `(n,)`.
        right: Correct predictions to choose, of as many classes as possible.
        wrong: Mistakes to choose, the most confident ones.

    Returns:
        Indices, int64; fewer where there are not so many.
    """
    hits = np.flatnonzero(scores.argmax(axis=1) == labels)
    # Every class once before any class twice, in the order of the test split.
    seen: dict[int, int] = {}
    turns = []
    for label in labels[hits].tolist():
        seen[label] = seen.get(label, -1) + 1
        turns.append(seen[label])
    order = np.lexsort((labels[hits], np.array(turns)))[:right]
    mistakes = most_confident_mistakes(scores, labels, count=wrong)
    return np.concatenate([hits[order], mistakes]).astype(np.int64)


def _calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Averages the gap between confidence and accuracy, weighted by bin count."""
    table = reliability_bins(scores, labels)
    gaps = (table["confidence"] - table["accuracy"]).abs() * table["count"]
    return float(gaps.sum() / len(labels))  # `sum` skips the NaN of empty bins.


def _check(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks probabilities and labels; returns the probabilities as float64."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or 0 in scores.shape or scores.shape[1] < 2:
        raise ValueError(
            "`scores` must have the shape (examples, classes), with at least one "
            f"example and two classes. Received: scores.shape={scores.shape}"
        )
    if not np.issubdtype(scores.dtype, np.floating):
        raise ValueError(
            f"`scores` must be floating point. Received: scores.dtype={scores.dtype}"
        )
    if labels.shape != scores.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`labels` must be integers of the shape {scores.shape[:1]}, one per row "
            f"of `scores`. Received: labels.shape={labels.shape}, "
            f"labels.dtype={labels.dtype}"
        )
    if not np.isfinite(scores).all():
        bad = int(np.sum(~np.isfinite(scores).all(axis=1)))
        raise ValueError(
            f"`scores` must be finite. Received: {bad} rows with NaN or infinity"
        )
    # In float64, rows sum to 1 as closely as scikit-learn's log loss requires.
    scores = scores.astype(np.float64)
    sums = scores.sum(axis=1)
    if scores.min() < 0 or np.abs(sums - 1).max() > _ROW_SUM_TOLERANCE:
        raise ValueError(
            "`scores` must be probabilities: not negative, with rows that sum to 1. "
            f"Received: scores.min()={scores.min():.6g}, row sums from "
            f"{sums.min():.6g} to {sums.max():.6g}"
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f"`labels` must be in [0, {scores.shape[1]}), the columns of `scores`. "
            f"Received: labels.min()={labels.min()}, labels.max()={labels.max()}"
        )
    return scores / sums[:, None], labels
