import numpy as np
import pytest
from scipy import special

from modelyard.training.linear_head import LinearHead, fit_linear_head


def _blobs(count, *, noise=1.0, seed=0, num_features=6):
    """Features of three classes, of very different scales; the last is constant."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(9).normal(size=(3, num_features))
    features = centres[labels] + noise * rng.normal(size=(count, num_features))
    features = features * np.geomspace(0.1, 100, num_features) + 5
    features[:, -1] = 7
    return features.astype("float32"), labels


def _fit(train, validation, **options):
    return fit_linear_head(*train, *validation, num_classes=3, **options)


@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_objective_is_at_its_minimum(num_classes):
    # In two classes and with an absent one, scikit-learn's objective is another.
    features, labels = _blobs(120)
    labels = np.minimum(labels, num_classes - 1)
    head = fit_linear_head(
        features, labels, features, labels, num_classes=num_classes, strengths=(0.01,)
    )
    mean, deviation = features.mean(0), features.std(0)
    deviation[-1] = 1
    standardised = (features - mean) / deviation
    errors = head.scores(features) - np.eye(num_classes)[labels]
    weights = head.kernel * deviation[:, np.newaxis]
    gradient = standardised.T @ errors / 120 + 0.01 * weights
    np.testing.assert_allclose(gradient, 0, atol=2e-4)
    np.testing.assert_allclose(errors.mean(0), 0, atol=2e-4)
    assert head.l2 == 0.01


def test_scores_are_those_of_a_dense_layer_on_raw_features():
    features, labels = _blobs(90)
    head = _fit((features, labels), (features, labels))
    logits = features @ head.kernel + head.bias
    scores = head.scores(features)
    np.testing.assert_allclose(scores, special.softmax(logits, 1), atol=1e-6)
    assert scores.dtype == head.kernel.dtype == head.bias.dtype == np.float32
    assert head.kernel.shape == (6, 3)
    assert np.all(head.kernel[-1] == 0)  # A constant carries no information.


def test_strong_penalty_is_chosen_for_uninformative_features():
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(60, 20)).astype("float32") for _ in range(2)]
    labels = np.arange(60) % 3
    strengths = (10.0, 1.0, 0.1, 0.001)
    assert _fit((noise[0], labels), (noise[1], labels), strengths=strengths).l2 == 10
    clear = [_blobs(60, noise=0.1, seed=seed) for seed in (1, 2)]
    assert _fit(*clear, strengths=strengths).l2 == 0.001


def test_classes_without_examples_are_not_predicted():
    features, labels = _blobs(90)
    present = labels < 2
    train = features[present], labels[present]
    head = fit_linear_head(*train, *train, num_classes=3)
    assert head.scores(features).argmax(1).max() == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.zeros(4, int), r"labels of \(4,\)"), (np.full(9, 3), r"in \[0, 3\).*3 to 3")],
)
def test_invalid_labels_are_refused(labels, message):
    features, _ = _blobs(9)
    with pytest.raises(ValueError, match=message):
        _fit((features, labels), _blobs(9))


def test_features_that_are_not_finite_are_refused():
    features, labels = _blobs(9)
    features[0, 0] = np.nan
    with pytest.raises(ValueError, match="`features` must be finite"):
        _fit((features, labels), _blobs(9))


def test_zero_head_gives_uniform_scores():
    head = LinearHead(np.zeros((2, 4), "float32"), np.zeros(4, "float32"), 1.0)
    assert head.scores(np.ones((3, 2), "float32")).tolist() == [[0.25] * 4] * 3
