import json

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.distance import cdist

from modelyard.evaluation import generation
from modelyard.evaluation.generation import (
    class_balance,
    frechet_distance,
    generation_metrics,
    kernel_distance,
    metric_floor,
    precision_recall,
)


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _with_moments(n, mean, covariance, seed=0):
    """Samples whose own mean and covariance are exactly the given ones."""
    centered = _normal(n, len(mean), seed=seed)
    centered -= centered.mean(axis=0)
    white = np.linalg.qr(centered)[0] * np.sqrt(n - 1)
    return mean + white @ np.linalg.cholesky(covariance).T


def _random_covariance(d, seed):
    root = _normal(d, d, seed=seed)
    return root @ root.T + 0.1 * np.eye(d)


@pytest.mark.parametrize("shape", [(200, 8), (5, 40), (2, 3), (300, 1)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_equal_sets_have_no_distance(shape, scale):
    features = 3 + scale * _normal(*shape)
    distance = frechet_distance(features, features[::-1])
    assert 0 <= distance < 1e-12 * scale**2 * features.size
    assert isinstance(distance, float)
    if len(features) > 3:
        assert precision_recall(features, features) == (1, 1)


def test_frechet_distance_of_exact_moments():
    d = 6
    means = _normal(2, d)
    first, second = _random_covariance(d, 1), _random_covariance(d, 2)
    root = linalg.sqrtm(first @ second).real
    expected = np.sum((means[0] - means[1]) ** 2)
    expected += np.trace(first + second - 2 * root)
    real = _with_moments(50, means[0], first)
    fake = _with_moments(70, means[1], second, seed=3)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_of_sampled_gaussians():
    means, deviations = (
        np.array([[0, 1, 2], [1, 1, 0]]),
        np.array([[1, 2, 3], [2, 2, 1]]),
    )
    real = means[0] + deviations[0] * _normal(20_000, 3)
    fake = means[1] + deviations[1] * _normal(20_000, 3, seed=1)
    # Both covariances are diagonal.
    assert frechet_distance(real, fake) == pytest.approx(5 + 5, rel=0.03)


@pytest.mark.parametrize("shape", [(100, 4), (6, 30)])
def test_shift_and_scale_have_closed_forms(shape):
    real = _normal(*shape)
    shift = _normal(shape[1], seed=1)
    assert frechet_distance(real, real + shift) == pytest.approx(shift @ shift)
    centered = real - real.mean(axis=0)
    variance = np.square(centered).sum() / (len(real) - 1)
    assert frechet_distance(centered, 3 * centered) == pytest.approx(4 * variance)


def test_degenerate_features_have_a_distance():
    real, fake = _normal(50, 3), _normal(60, 3, seed=1)
    expected = frechet_distance(real, fake)
    # A column with the same constant in both sets, and one with different constants.
    wide_real = np.column_stack([real, np.full(50, 7.0), np.full(50, 1.0)])
    wide_fake = np.column_stack([fake, np.full(60, 7.0), np.full(60, 4.0)])
    assert frechet_distance(wide_real, wide_fake) == pytest.approx(expected + 9)
    twice = [np.hstack([side, side]) for side in (real, fake)]
    assert frechet_distance(*twice) == pytest.approx(2 * expected)
    constant = np.ones((5, 3))
    assert frechet_distance(constant, constant) == 0
    assert precision_recall(constant, constant) == (1, 1)
    assert kernel_distance(constant, constant)["mean"] == pytest.approx(0)


def test_disjoint_supports_add_their_variances():
    # Fewer samples than features, in orthogonal subspaces: the product is 0.
    real, fake = np.zeros((4, 20)), np.zeros((5, 20))
    real[:, :10], fake[:, 10:] = _normal(4, 10), _normal(5, 10, seed=1)
    shift = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
    spread = real.var(axis=0, ddof=1).sum() + fake.var(axis=0, ddof=1).sum()
    assert frechet_distance(real, fake) == pytest.approx(shift + spread)


def _plain_kernel_distance(real, fake):
    """The unbiased estimate, pair by pair."""

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def mean_of_pairs(side):
        pairs = [(i, j) for i in range(len(side)) for j in range(len(side)) if i != j]
        return np.mean([kernel(side[i], side[j]) for i, j in pairs])

    between = np.mean([kernel(x, y) for x in real for y in fake])
    return mean_of_pairs(real) + mean_of_pairs(fake) - 2 * between


def test_kernel_distance_agrees_with_its_definition():
    real, fake = _normal(15, 4), 0.5 + _normal(15, 4, seed=1)
    result = kernel_distance(real, fake)
    expected = _plain_kernel_distance(real, fake)
    assert result == {"mean": pytest.approx(expected), "sd": None, "num_blocks": 1}


def test_kernel_distance_averages_disjoint_blocks():
    real, fake = _normal(31, 4), _normal(47, 4, seed=1)
    result = kernel_distance(real, fake, block_size=10, seed=5)
    rng = np.random.default_rng(5)
    orders = rng.permutation(31), rng.permutation(47)[:31]
    blocks = [(0, 11), (11, 21), (21, 31)]  # The remainder is used, too.
    values = [
        _plain_kernel_distance(real[orders[0][a:b]], fake[orders[1][a:b]])
        for a, b in blocks
    ]
    assert result["num_blocks"] == 3
    assert result["mean"] == pytest.approx(np.mean(values))
    assert result["sd"] == pytest.approx(np.std(values, ddof=1))
    assert kernel_distance(real, fake, block_size=10, seed=5) == result
    assert kernel_distance(real, fake, block_size=10, seed=6) != result


def test_kernel_distance_is_unbiased():
    real, fake = _normal(6000, 5), _normal(6000, 5, seed=1)
    same = kernel_distance(real, fake, block_size=20)
    assert same["num_blocks"] == 300
    assert abs(same["mean"]) < 3 * same["sd"] / np.sqrt(300)
    # Counting pairs of a sample with itself would add about 1.
    assert same["sd"] / np.sqrt(300) < 0.05
    other = kernel_distance(real, 1 + fake, block_size=20)
    assert other["mean"] > 10 * other["sd"] / np.sqrt(300)


def test_kernel_distance_of_a_shift_has_its_expectation():
    # E (xy + 1)^3 = 1 + 3 m n + 3 E x^2 E y^2 + E x^3 E y^3 for independent x and y.
    def expectation(m, n):
        seconds = (m**2 + 1) * (n**2 + 1)
        return 1 + 3 * m * n + 3 * seconds + (m**3 + 3 * m) * (n**3 + 3 * n)

    expected = expectation(0, 0) + expectation(1, 1) - 2 * expectation(0, 1)
    real, fake = _normal(40_000, 1), 1 + _normal(40_000, 1, seed=1)
    result = kernel_distance(real, fake, block_size=250)
    error = result["sd"] / np.sqrt(result["num_blocks"])
    assert abs(result["mean"] - expected) < 3 * error < 0.1 * expected


def test_missing_modes_lower_recall_only():
    modes = np.array([[0, 0], [100, 0]])
    real = np.concatenate([mode + _normal(200, 2, seed=1) for mode in modes])
    precision, recall = precision_recall(real, real[:200])
    assert precision == 1
    assert recall == 0.5
    assert precision_recall(real[:200], real) == (0.5, 1)
    assert precision_recall(real, real + 1e4) == (0, 0)


# With the inexact units, rounding must not move a sample across a border.
@pytest.mark.parametrize("unit", [1, 0.1, 1 / 3, 1e-6, 1e6])
def test_reach_is_that_of_the_nth_neighbor(unit):
    # Distances from 0 are 1, 3 and 6. The other balls end at or before those borders.
    real = unit * np.array([[0.0], [1], [3], [6]])
    fake = unit * np.array([[-7.0], [-6], [-3.5], [-2.5], [-1]])
    assert precision_recall(real, fake, neighbors=1)[0] == 1 / 5
    assert precision_recall(real, fake, neighbors=2)[0] == 2 / 5
    assert precision_recall(real, fake, neighbors=3)[0] == 4 / 5


@pytest.mark.parametrize("chunk", [1, 5000, 2**22])
def test_precision_and_recall_agree_with_their_definition(monkeypatch, chunk):
    monkeypatch.setattr(generation, "_CHUNK_DISTANCES", chunk)
    real, fake = 50 + _normal(500, 3), 50.8 + 0.8 * _normal(400, 3, seed=1)
    between = cdist(fake, real)
    real_reach, fake_reach = (
        np.sort(cdist(side, side), axis=1)[:, 3] for side in (real, fake)
    )
    expected = (
        np.mean((between <= real_reach).any(axis=1)),
        np.mean((between <= fake_reach[:, None]).any(axis=0)),
    )
    assert 0.2 < min(expected) < max(expected) < 0.95
    assert precision_recall(real, fake) == expected


def test_repeated_samples_cover_themselves():
    # Their balls have no extent, so rounding must not count.
    real = np.repeat(1e3 + _normal(3, 50), 5, axis=0)
    assert precision_recall(real, real[::-1]) == (1, 1)
    assert precision_recall(real, real + 1e-4) == (0, 0)


def test_all_metrics_are_gathered():
    real, fake = _normal(60, 5).astype("float32"), _normal(40, 5, seed=1)
    metrics = generation_metrics(real, fake, seed=2)
    assert json.loads(json.dumps(metrics)) == metrics
    assert (metrics["num_real"], metrics["num_fake"]) == (60, 40)
    assert metrics["frechet_distance"] == frechet_distance(real, fake)
    assert metrics["kernel_distance"] == kernel_distance(real, fake, seed=2)
    assert (metrics["precision"], metrics["recall"]) == precision_recall(real, fake)


def test_floor_compares_disjoint_halves():
    real = _normal(201, 5)
    floor = metric_floor(real, seed=3)
    assert (floor["num_real"], floor["num_fake"]) == (100, 100)
    order = np.random.default_rng(3).permutation(201)
    halves = real[order[:100]], real[order[100:200]]
    assert floor == generation_metrics(*halves, seed=3)
    assert floor == metric_floor(real, seed=3) != metric_floor(real, seed=4)
    # Sorted features would make unlike halves without the shuffling.
    ordered = np.sort(real, axis=0)
    assert metric_floor(ordered)["frechet_distance"] < 1
    assert frechet_distance(ordered[:100], ordered[100:]) > 5


def test_class_shares_are_compared():
    balance = class_balance(np.array([0, 0, 0, 2], "uint8"), 4)
    assert balance == json.loads(json.dumps(balance))
    assert balance["num_examples"] == 4
    assert balance["shares"] == [0.75, 0, 0.25, 0]
    assert balance["total_variation"] == 0.5
    labels = np.arange(12) % 3
    assert class_balance(labels, 3)["total_variation"] == pytest.approx(0)
    skewed = class_balance(labels, 3, expected=[0.5, 0.5, 0])
    assert skewed["total_variation"] == pytest.approx(1 / 3)
    opposite = class_balance(np.zeros(5, int), 2, expected=(0, 1))
    assert opposite["total_variation"] == 1


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros(9), np.zeros((9, 2)), r"`real` .*shape=\(9,\)"),
        (np.zeros((9, 2)), np.zeros((9, 2, 1)), r"`fake` .*shape=\(9, 2, 1\)"),
        (np.zeros((1, 2)), np.zeros((9, 2)), r"`real` .*samples.*shape=\(1, 2\)"),
        (np.zeros((9, 2)), np.zeros((1, 2)), r"`fake` .*samples.*shape=\(1, 2\)"),
        (np.zeros((9, 0)), np.zeros((9, 0)), r"`real` .*shape=\(9, 0\)"),
        (np.zeros((9, 2)), np.zeros((9, 3)), r"`fake` .*`real`, 2\. .*\(9, 3\)"),
        (np.zeros((9, 2)), np.full((9, 2), np.nan), "`fake` .*18 values of NaN"),
        (np.full((9, 2), np.inf), np.zeros((9, 2)), "`real` .*18 values of NaN"),
        (np.zeros((9, 2), bool), np.zeros((9, 2)), "`real` .*dtype=bool"),
        (np.zeros((9, 2)), np.zeros((9, 2), complex), "`fake` .*dtype=complex128"),
    ],
)
def test_bad_features_are_named(real, fake, message):
    functions = (
        frechet_distance,
        kernel_distance,
        precision_recall,
        generation_metrics,
    )
    for function in functions:
        with pytest.raises(ValueError, match=message):
            function(real, fake)


def test_other_bad_arguments_of_features_are_named():
    features = _normal(7, 2)
    with pytest.raises(ValueError, match=r"at least 4 samples.*real.shape=\(3, 2\)"):
        precision_recall(features[:3], features)
    with pytest.raises(ValueError, match=r"at least 8 samples.*fake.shape=\(7, 2\)"):
        precision_recall(_normal(8, 2), features, neighbors=7)
    with pytest.raises(ValueError, match=r"`neighbors` .*neighbors=0"):
        precision_recall(features, features, neighbors=0)
    with pytest.raises(ValueError, match=r"`block_size` .*block_size=1"):
        kernel_distance(features, features, block_size=1)
    with pytest.raises(ValueError, match=r"`fake` .*at least 4 .*\(3, 2\)"):
        generation_metrics(features, features[:3])
    with pytest.raises(ValueError, match=r"at least 8 samples.*real.shape=\(7, 2\)"):
        metric_floor(features)


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected", "message"),
    [
        ([0, 1], 0, None, "`num_classes` .*num_classes=0"),
        ([0.0, 1.0], 2, None, "`labels` .*dtype=float64"),
        ([], 2, None, r"`labels` .*shape=\(0,\)"),
        ([[0, 1]], 2, None, r"`labels` .*shape=\(1, 2\)"),
        ([0, 2], 2, None, r"`labels` .*\[0, 2\)\. Received: 0 to 2"),
        ([0, -1], 2, None, "`labels` .*Received: -1 to 0"),
        ([0, 1], 2, [1.0], r"`expected` .*2 shares.*expected=\[1\.0\]"),
        ([0, 1], 2, [0.5, 0.6], r"`expected` .*expected=\[0\.5, 0\.6\]"),
        ([0, 1], 2, [-0.5, 1.5], "`expected` .*0 or more"),
        ([0, 1], 2, [np.nan, 1], "`expected` .*nan"),
    ],
)
def test_bad_labels_are_named(labels, num_classes, expected, message):
    with pytest.raises(ValueError, match=message):
        class_balance(labels, num_classes, expected=expected)
