"""The linear head of a frozen network: multinomial logistic regression."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import threadpoolctl
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# From strong to weak; relative to the mean cross-entropy on standardised features.
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
_MAX_ITERATIONS = 100


@dataclasses.dataclass(frozen=True, eq=False)
class LinearHead:
    """The weights of a dense layer from features to logits.

    Attributes:
        kernel: float32 `(num_features, num_classes)`.
        bias: float32 `(num_classes,)`.
        l2: Strength of the penalty in the fit.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Predicts probabilities, float32 `(n, num_classes)`, from features."""
        logits = features @ self.kernel + self.bias
        return special.softmax(logits, axis=1).astype("float32")


def fit_linear_head(
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    *,
    num_classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearHead:
    """Fits a softmax regression with the L2 penalty that suits the validation best.

    Minimises the mean cross-entropy plus half of the penalty times the sum of the
    squared weights, on standardised features; the returned weights take the features
    as they are. The penalty is chosen by the log loss on the validation examples.
    Deterministic.

    Args:
        features: float32 `(n, num_features)`.
        labels: Integers `(n,)` in [0, num_classes).
        validation_features: float32 `(m, num_features)`.
        validation_labels: Integers `(m,)` in [0, num_classes).
        num_classes: Number of classes, at least 2.
        strengths: Penalties to try, all above 0, from strong to weak; the search
            ends with the first one that does not improve on the one before.

    Returns:
        The best head.

    Raises:
        ValueError: If the shapes of features and labels do not match, labels are out of
            range, or features are not finite.

    Reference:
        [Kornblith et al., 2019](https://arxiv.org/abs/1805.08974) (as the measure of
        frozen features)
    """
    _check(features, labels, num_classes)
    _check(validation_features, validation_labels, num_classes)
    scaler = _fit_scaler(features)
    standardised = scaler.transform(features)
    weights = np.ones(len(labels))
    absent = np.setdiff1d(np.arange(num_classes), labels)
    if len(absent):
        # scikit-learn takes the classes from the labels: add examples without weight.
        no_features = np.zeros((len(absent), features.shape[1]), "float32")
        standardised = np.concatenate([standardised, no_features])
        labels = np.concatenate([labels, absent])
        weights = np.concatenate([weights, np.zeros(len(absent))])
    classifier = LogisticRegression(warm_start=True, max_iter=_MAX_ITERATIONS)
    best, lowest = None, np.inf
    for l2 in strengths:
        classifier.C = 1 / (l2 * weights.sum())
        if num_classes == 2:
            # The penalty counts one vector of weights, not two of half the size.
            classifier.C *= 2
        _fit(classifier, standardised, labels, weights)
        head = _make_head(classifier, scaler, l2)
        loss = _log_loss(head, validation_features, validation_labels)
        if best is not None and not loss < lowest:
            break
        best, lowest = head, loss
    if best is None:
        raise ValueError(
            f"`strengths` must not be empty. Received: strengths={strengths}"
        )
    return best


def _fit(classifier, features, labels, weights):
    """Fits a classifier, starting from its current weights."""
    with warnings.catch_warnings():
        # The last digits of the loss make no difference to the predictions.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # The matrices are narrow: more threads would only wait for each other.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            classifier.fit(features, labels, weights)


def _fit_scaler(features):
    """A scaler that maps nearly constant features to 0."""
    scaler = StandardScaler().fit(features)
    deviation = np.sqrt(scaler.var_)
    # Standardising a nearly constant feature would amplify nothing but noise.
    changing = deviation > 1e-3 * deviation.mean()
    scaler.scale_ = np.where(changing, deviation, np.inf)
    return scaler


def _make_head(classifier, scaler, l2):
    """The head that takes features as they are."""
    kernel, bias = classifier.coef_.T, classifier.intercept_
    if len(bias) == 1:  # Of two classes, this is the difference between their logits.
        kernel, bias = kernel * [-0.5, 0.5], bias * [-0.5, 0.5]
    kernel = kernel / scaler.scale_[:, np.newaxis]
    bias = bias - scaler.mean_ @ kernel
    return LinearHead(kernel.astype("float32"), bias.astype("float32"), l2)


def _log_loss(head, features, labels):
    """Mean cross-entropy in nats."""
    logits = features @ head.kernel + head.bias
    log_scores = special.log_softmax(logits, axis=1)
    return -float(log_scores[np.arange(len(labels)), labels].mean())


def _check(features, labels, num_classes):
    """Checks features and their labels."""
    if features.ndim != 2 or labels.shape != (len(features),) or not len(labels):
        raise ValueError(
            "`features` must be (n, num_features) with `labels` (n,), n at least 1. "
            f"Received: features of {features.shape}, labels of {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"`labels` must be in [0, {num_classes}). "
            f"Received: {labels.min()} to {labels.max()}"
        )
    if not np.isfinite(features).all():
        raise ValueError("`features` must be finite. Received: NaN or infinity")
