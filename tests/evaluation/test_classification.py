import json

import numpy as np
import pytest

from modelyard.evaluation.classification import (
    accuracy_by_length,
    choose_to_explain,
    classification_metrics,
    most_confident_mistakes,
    per_class_table,
    reliability_bins,
    roc_auc,
)
from modelyard.evaluation.intervals import difference_interval


def two_class_scores(confidences, predictions):
    """Rows whose predicted class has the given score."""
    rows = [
        [c, 1 - c] if p == 0 else [1 - c, c]
        for c, p in zip(confidences, predictions, strict=True)
    ]
    return np.array(rows, np.float32)


def random_scores(num_examples, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(num_classes), num_examples).astype(np.float32)
    return scores, rng.integers(0, num_classes, num_examples)


def test_accuracy_has_the_wilson_interval_of_the_textbook():
    labels = np.zeros(100, np.int64)
    scores = two_class_scores([0.9] * 100, [1] * 5 + [0] * 95)
    metrics = classification_metrics(scores, labels)
    assert metrics["accuracy"] == 0.95
    assert metrics["num_errors"] == 5
    assert metrics["error_rate"] == 0.05
    np.testing.assert_allclose(
        metrics["accuracy_interval"], [0.8882, 0.9785], atol=5e-5
    )


def test_calibration_error_of_a_hand_computed_case():
    # Bin (0.8, 0.867]: two examples of confidence 0.85, one of them right.
    # Bin (0.933, 1]: two of confidence 0.95, both right.
    scores = two_class_scores([0.85, 0.85, 0.95, 0.95], [0, 0, 1, 1])
    labels = np.array([0, 1, 1, 1])
    expected = 0.5 * abs(0.5 - 0.85) + 0.5 * abs(1 - 0.95)
    metrics = classification_metrics(scores, labels)
    assert metrics["expected_calibration_error"] == pytest.approx(expected, abs=1e-6)


def test_log_loss_top5_and_f1_agree_with_their_definitions():
    scores, labels = random_scores(200, 8)
    metrics = classification_metrics(scores, labels)
    true_scores = scores[np.arange(200), labels].astype(np.float64)
    assert metrics["log_loss"] == pytest.approx(-np.log(true_scores).mean(), rel=1e-5)
    ranks = (scores > true_scores.astype(np.float32)[:, None]).sum(axis=1)
    assert metrics["top5_accuracy"] == pytest.approx(np.mean(ranks < 5))
    predictions = scores.argmax(axis=1)
    f1 = [
        2
        * np.sum((predictions == k) & (labels == k))
        / (np.sum(predictions == k) + np.sum(labels == k))
        for k in range(8)
    ]
    assert metrics["macro_f1"] == pytest.approx(np.mean(f1))


def test_metrics_are_json_and_omit_top5_for_up_to_five_classes():
    scores, labels = random_scores(20, 5)
    metrics = classification_metrics(scores, labels)
    assert json.loads(json.dumps(metrics)) == metrics
    assert "top5_accuracy" not in metrics


def test_a_certain_mistake_leaves_the_log_loss_finite():
    scores = np.array([[1, 0], [0, 1]], np.float32)
    assert np.isfinite(classification_metrics(scores, np.array([1, 1]))["log_loss"])


def test_reliability_bins_count_every_example_once():
    scores = two_class_scores([0.5, 0.6, 1.0], [0, 0, 1])
    table = reliability_bins(scores, np.array([0, 1, 1]), bins=2)
    assert table["count"].tolist() == [1, 2]
    np.testing.assert_allclose(table["confidence"], [0.5, 0.8], rtol=1e-6)
    np.testing.assert_allclose(table["accuracy"], [1, 0.5])


def test_empty_reliability_bins_are_nan():
    table = reliability_bins(two_class_scores([0.9], [0]), np.array([0]))
    assert len(table) == 15
    assert table["count"].sum() == 1
    assert table["accuracy"].isna().sum() == 14


def test_per_class_table_of_a_class_that_never_occurs_is_zero():
    scores = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]], np.float32)
    table = per_class_table(scores, np.array([0, 1, 1]), ["a", "b", "never"])
    assert table.index.tolist() == ["a", "b", "never"]
    np.testing.assert_allclose(table["precision"], [0.5, 1, 0])
    np.testing.assert_allclose(table["recall"], [1, 0.5, 0])
    np.testing.assert_allclose(table["f1"], [2 / 3, 2 / 3, 0])
    assert table["support"].tolist() == [1, 2, 0]


def test_per_class_table_requires_one_name_per_class():
    scores, labels = random_scores(4, 3)
    with pytest.raises(ValueError, match=r"`class_names`.*len\(class_names\)=2"):
        per_class_table(scores, labels, ["a", "b"])


def test_most_confident_mistakes_come_first():
    scores = two_class_scores([0.6, 0.9, 0.8, 0.99], [1, 1, 1, 0])
    labels = np.zeros(4, np.int64)
    assert most_confident_mistakes(scores, labels).tolist() == [1, 2, 0]
    assert most_confident_mistakes(scores, labels, count=1).tolist() == [1]
    assert most_confident_mistakes(scores[3:], labels[3:]).tolist() == []


def test_difference_interval_is_newcombes_published_example():
    # 56 of 70 against 48 of 80, method 10 of the paper's table II.
    difference, low, high = difference_interval(56 / 70, 70, 48 / 80, 80)
    assert difference == pytest.approx(0.2)
    assert low == pytest.approx(0.0524, abs=5e-5)
    assert high == pytest.approx(0.3339, abs=5e-5)


def test_difference_to_an_exact_reference_is_the_shifted_wilson_interval():
    _, low, high = difference_interval(0.95, 100, 0.9, None)
    assert low == pytest.approx(0.8882 - 0.9, abs=5e-5)
    assert high == pytest.approx(0.9785 - 0.9, abs=5e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((99.5, 100, 0.9, None), r"`accuracy` must be in \[0, 1\]. .*accuracy=99.5"),
        ((0.9, 100, -0.1, 10), r"`reference_accuracy`.*reference_accuracy=-0.1"),
        ((0.9, 0, 0.9, None), r"`num_examples` must be at least 1.*num_examples=0"),
    ],
)
def test_difference_interval_names_the_bad_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        difference_interval(*arguments)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.ones((2, 1)), [0, 0], r"`scores` must have the shape.*\(2, 1\)"),
        (np.ones((0, 2)), [], r"at least one example.*\(0, 2\)"),
        (np.ones((2, 2), int), [0, 0], r"floating point.*int64"),
        ([[0.5, 0.5]], [0, 1], r"`labels`.*\(1,\).*labels.shape=\(2,\)"),
        ([[0.5, 0.5]], [0.0], r"`labels` must be integers.*float64"),
        ([[0.5, np.nan]], [0], r"finite.*1 rows"),
        ([[2.0, 3.0]], [0], r"probabilities.*row sums from 5 to 5"),
        ([[1.5, -0.5]], [0], r"not negative.*scores.min\(\)=-0.5"),
        ([[0.5, 0.5]], [2], r"`labels` must be in \[0, 2\).*labels.max\(\)=2"),
        ([[0.5, 0.5]], [-1], r"`labels` must be in \[0, 2\).*labels.min\(\)=-1"),
    ],
)
def test_invalid_probabilities_and_labels_are_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(np.asarray(scores), np.asarray(labels))


def test_roc_auc_counts_pairs_in_the_right_order():
    scores = two_class_scores([0.9, 0.6, 0.6, 0.8], [0, 0, 0, 1])
    labels = np.array([0, 1, 0, 1])
    # Scores of class 1: 0.1, 0.4 (class 1), 0.4, 0.8 (class 1); one tie of four.
    assert roc_auc(scores, labels) == pytest.approx(3.5 / 4)
    assert roc_auc(scores, 1 - labels) == pytest.approx(0.5 / 4)


def test_roc_auc_of_many_classes_is_their_mean_without_absent_ones():
    scores, labels = random_scores(60, 4)
    labels[labels == 3] = 0
    areas = []
    for k in range(3):
        ours, others = scores[labels == k, k], scores[labels != k, k]
        areas.append(np.mean(ours[:, None] > others))
    assert roc_auc(scores, labels) == pytest.approx(np.mean(areas))


def test_roc_auc_of_a_single_class_is_nan():
    scores, labels = random_scores(5, 2)
    assert np.isnan(roc_auc(scores, 0 * labels))


def test_accuracy_by_length_groups_similar_lengths():
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.arange(1, 801))
    labels = np.zeros(800, np.int64)
    wrong = lengths > 700
    scores = two_class_scores([0.9] * 800, wrong.astype(int))
    table = accuracy_by_length(scores, labels, lengths)
    assert table["count"].tolist() == [100] * 8
    assert table["shortest"].tolist() == list(range(1, 800, 100))
    assert table["longest"].tolist() == list(range(100, 801, 100))
    assert table["accuracy"].tolist() == [1.0] * 7 + [0.0]
    np.testing.assert_allclose(table["length"][0], 50.5)
    assert table["low"][0] == pytest.approx(0.9630, abs=5e-5)
    assert table["high"][7] == pytest.approx(0.0370, abs=5e-5)


def test_examples_of_the_same_length_stay_together():
    scores, labels = random_scores(50, 2)
    lengths = np.repeat([7, 9], [45, 5])
    table = accuracy_by_length(scores, labels, lengths)
    assert table["count"].tolist() == [45, 5]
    assert accuracy_by_length(scores, labels, lengths, bins=1)["count"].tolist() == [50]


@pytest.mark.parametrize(
    ("lengths", "bins", "message"),
    [
        ([1.0, 2.0, 3.0], 8, r"`lengths` must be integers.*float64"),
        ([1, 2], 8, r"`lengths`.*\(3,\).*lengths.shape=\(2,\)"),
        ([1, 2, 3], 0, r"`bins` must be at least 1.*bins=0"),
    ],
)
def test_invalid_lengths_and_bins_are_refused(lengths, bins, message):
    scores, labels = random_scores(3, 2)
    with pytest.raises(ValueError, match=message):
        accuracy_by_length(scores, labels, np.array(lengths), bins)


def three_class_scores(predictions, confidences):
    scores = np.tile((1 - np.array(confidences))[:, None] / 2, (1, 3))
    scores[np.arange(len(predictions)), predictions] = confidences
    return scores


def test_right_predictions_of_every_class_come_before_confident_mistakes():
    labels = np.array([0, 0, 1, 0, 2, 1, 1])
    predictions = [0, 0, 1, 1, 2, 2, 0]
    scores = three_class_scores(predictions, [0.5, 0.9, 0.6, 0.7, 0.8, 0.95, 0.6])
    chosen = choose_to_explain(scores, labels, right=3, wrong=2)
    assert chosen.tolist() == [0, 2, 4, 5, 3]
    assert choose_to_explain(scores, labels, right=9, wrong=9).tolist() == [
        *(0, 2, 4, 1),
        *(5, 3, 6),
    ]


def test_examples_to_explain_may_all_be_right_or_all_be_wrong():
    labels = np.array([0, 1])
    scores = three_class_scores([0, 1], [0.9, 0.9])
    assert choose_to_explain(scores, labels, right=2, wrong=2).tolist() == [0, 1]
    assert choose_to_explain(scores, 1 - labels, right=2, wrong=1).tolist() == [0]
