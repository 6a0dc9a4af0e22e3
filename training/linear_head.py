"""The linear head of a frozen network: multinomial logistic regression."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import threadpoolctl
from scipy import optimize, special

# From strong to weak; in units of the mean cross-entropy on standardised features.
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
_MAX_ITERATIONS = 100


@dataclasses.dataclass(frozen=True, eq=False)
class LinearHead:
    """Weights of a dense layer from features to logits.

    Attributes:
        kernel: float32 `(num_features, num_classes)`.
        bias: float32 `(num_classes,)`.
        l2: Strength of the penalty that it was fitted with.
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
    """Fits a softmax regression, with the L2 penalty that suits validation best.

    Features are standardised for the fit; the weights that are returned take them
    as they are. The penalty is chosen by the log loss on validation. Deterministic.

    Args:
        features: float32 `(n, num_features)`.
        labels: Integers `(n,)` in [0, num_classes).
        validation_features: float32 `(m, num_features)`.
        validation_labels: Integers `(m,)` in [0, num_classes).
        num_classes: Columns of the result.
        strengths: Penalties to try, all above 0, from strong to weak; the search
            ends with the first that is worse than the one before.

    Returns:
        The best head.

    Raises:
        ValueError: If features and labels do not belong together.

    Reference:
        [Kornblith et al., 2019](https://arxiv.org/abs/1805.08974) (as the measure of
        frozen features)
    """
    _check(features, labels, num_classes)
    _check(validation_features, validation_labels, num_classes)
    mean, inverse = _standardisation(features)
    standardised = (features - mean) * inverse
    weights = np.zeros((features.shape[1] + 1, num_classes), "float32")
    best, lowest = None, np.inf
    for l2 in strengths:
        # The products are narrow: threads would wait for each other, not compute.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            weights = _fit(standardised, labels, l2, weights)
        kernel = weights[:-1] * inverse[:, np.newaxis]
        head = LinearHead(kernel, weights[-1] - mean @ kernel, l2)
        loss = _log_loss(head, validation_features, validation_labels)
        if not loss < lowest:
            break
        best, lowest = head, loss
    if best is None:
        raise ValueError("`features` must be finite. Received: NaN or infinity")
    return best


def _fit(features, labels, l2, start):
    """Minimises the mean cross-entropy plus half of `l2` times squared weights."""
    count, shape = len(labels), start.shape
    rows = np.arange(count)

    def objective(flat):
        weights = flat.astype("float32").reshape(shape)
        logits = features @ weights[:-1] + weights[-1]
        log_scores = logits - special.logsumexp(logits, axis=1, keepdims=True)
        loss = -log_scores[rows, labels].mean(dtype="float64")
        error = np.exp(log_scores)
        error[rows, labels] -= 1
        error /= count
        gradient = np.concatenate([features.T @ error, error.sum(0, keepdims=True)])
        gradient[:-1] += l2 * weights[:-1]
        loss += 0.5 * l2 * float(np.sum(np.square(weights[:-1], dtype="float64")))
        return loss, gradient.ravel().astype("float64")

    found = optimize.minimize(
        objective,
        start.ravel().astype("float64"),
        jac=True,
        method="L-BFGS-B",
        # The last digits of the loss make no difference to the predictions.
        options={"maxiter": _MAX_ITERATIONS, "ftol": 1e-5, "gtol": 1e-5},
    )
    return found.x.astype("float32").reshape(shape)


def _standardisation(features):
    """Mean and inverse deviation of each feature; 0 for one that never changes."""
    mean = features.mean(axis=0, dtype="float64").astype("float32")
    deviation = features.std(axis=0, dtype="float64").astype("float32")
    # A feature that is nearly constant would be blown up out of all proportion.
    changing = deviation > 1e-3 * deviation.mean()
    inverse = np.where(changing, 1 / np.where(changing, deviation, 1), 0)
    return mean, inverse.astype("float32")


def _log_loss(head, features, labels):
    """Mean cross-entropy in nats."""
    logits = features @ head.kernel + head.bias
    log_scores = special.log_softmax(logits, axis=1)
    return -float(log_scores[np.arange(len(labels)), labels].mean())


def _check(features, labels, num_classes):
    """Raises unless these are features with their labels."""
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
