import keras
import numpy as np
import pytest
import tensorflow as tf

from modelyard.training.losses import SmoothedCrossentropy
from modelyard.training.optimizers import (
    FilterMuon,
    WarmupSchedule,
    make_optimizer,
    orthogonalise,
)


def _course(kind, warmup_steps=2):
    schedule = WarmupSchedule(kind, 3.0, 10, warmup_steps)
    return np.array([float(schedule(step)) for step in range(10)])


@pytest.mark.parametrize("kind", ["constant", "cosine", "one_cycle"])
def test_schedules_warm_up_linearly_to_the_peak(kind):
    np.testing.assert_allclose(_course(kind)[:3], [1.0, 2.0, 3.0], atol=0.12)
    assert _course(kind).max() <= 3.0


def test_one_cycle_decays_linearly_and_never_reaches_zero():
    course = _course("one_cycle")[2:]
    np.testing.assert_allclose(np.diff(course), -3.0 / 8, atol=1e-6)
    assert course[-1] > 0


def test_cosine_is_at_half_the_peak_after_half_the_steps():
    schedule = WarmupSchedule("cosine", 3.0, 100, 0)
    assert float(schedule(50)) == pytest.approx(1.5, abs=0.05)


def test_constant_stays_at_the_peak():
    np.testing.assert_allclose(_course("constant")[2:], 3.0)


def test_schedule_survives_serialization():
    schedule = WarmupSchedule("cosine", 3.0, 10, 2)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert float(again(4)) == float(schedule(4))


@pytest.mark.parametrize(
    ("name", "rate"), [("sgd", 0.05), ("adam", 0.05), ("adamw", 0.05), ("muon", 0.5)]
)
def test_every_optimizer_lowers_the_loss(name, rate):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = (x @ rng.normal(size=(4, 3))).argmax(1)
    dense = keras.layers.Dense(3)
    dense.build((None, 4))
    loss = SmoothedCrossentropy()
    optimizer = make_optimizer(
        name,
        learning_rate=rate,
        schedule="one_cycle",
        total_steps=60,
        warmup_share=0.2,
        weight_decay=0.01,
        clip_norm=1.0,
        ema=0.9,
    )
    optimizer.build(dense.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(y, dense(x))
        gradients = tape.gradient(value, dense.trainable_variables)
        optimizer.apply(gradients, dense.trainable_variables)

    before = float(loss(y, dense(x)))
    for _ in range(60):
        step()
    optimizer.finalize_variable_values(dense.trainable_variables)
    assert float(loss(y, dense(x))) < 0.5 * before


def test_options_reach_the_optimizer():
    optimizer = make_optimizer(
        "sgd", learning_rate=0.1, total_steps=9000, momentum=0.8, nesterov=True,
        weight_decay=0.3, clip_norm=2.0, ema=0.99,
    )  # fmt: skip
    config = optimizer.get_config()
    assert config["momentum"] == 0.8
    assert config["nesterov"] is True
    assert config["weight_decay"] == 0.3
    assert config["global_clipnorm"] == 2.0
    assert config["use_ema"] is True
    assert config["ema_momentum"] == 0.99


@pytest.mark.parametrize(
    ("total_steps", "momentum"), [(5000, 0.998), (490, 0.98), (10, 0.5)]
)
def test_average_is_shorter_in_short_trainings(total_steps, momentum):
    optimizer = make_optimizer(
        "adamw", learning_rate=0.1, total_steps=total_steps, ema=0.998
    )
    assert optimizer.use_ema
    assert optimizer.ema_momentum == momentum


def test_only_optimizers_with_weight_decay_get_it():
    options = {"learning_rate": 0.1, "total_steps": 1, "weight_decay": 0.1}
    assert make_optimizer("adam", **options).weight_decay is None
    assert make_optimizer("adamw", **options).weight_decay == 0.1


def test_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="Received: optimizer='lion'"):
        make_optimizer("lion", learning_rate=0.1, total_steps=1)


def _updated(optimizer, value, gradient, name="weight"):
    variable = keras.Variable(np.asarray(value, "float32"), name=name)
    optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
    return keras.ops.convert_to_numpy(variable)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_rate_scales_multiply_the_learning_rate_of_their_variable(name):
    gradient = np.ones(3)
    steps = []
    for scales in ({}, {"weight": 0.25}, {"another": 0.25}):
        optimizer = make_optimizer(
            name, learning_rate=0.1, total_steps=5, rate_scales=scales
        )
        steps.append(_updated(optimizer, np.zeros(3), gradient))
    np.testing.assert_allclose(steps[1], 0.25 * steps[0], rtol=1e-5)
    np.testing.assert_allclose(steps[2], steps[0])


def test_rate_scales_of_other_optimizers_are_refused():
    with pytest.raises(ValueError, match=r"`rate_scales` must .*'muon'"):
        make_optimizer(
            "muon", learning_rate=0.1, total_steps=5, rate_scales={"weight": 0.5}
        )


@pytest.mark.parametrize("shape", [(6, 30), (30, 6)])
def test_orthogonalise_brings_singular_values_together_and_keeps_directions(shape):
    rng = np.random.default_rng(0)
    left, _, right = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    matrix = (left * np.geomspace(1, 0.1, 6)) @ right
    result = keras.ops.convert_to_numpy(orthogonalise(matrix.astype("float32")))
    inner = left.T @ result @ right.T
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-3)
    assert np.diag(inner).min() > 0.3
    assert np.diag(inner).max() < 1.3


def test_filter_muon_updates_whole_filters_by_an_orthogonal_step():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 4, 8))
    optimizer = FilterMuon(learning_rate=0.1)
    updated = _updated(optimizer, kernel, 1e-3 * rng.normal(size=kernel.shape))
    normed = kernel * (8**0.5 / np.linalg.norm(kernel))
    step = (normed - updated).reshape(-1, 8) / 0.1
    singular_values = np.linalg.svd(step, compute_uv=False)
    assert singular_values.min() > 0.3
    assert singular_values.max() < 1.3


def test_filter_muon_updates_biases_and_matrices_with_nesterov_momentum():
    optimizer = FilterMuon(
        learning_rate=0.1, bias_scale=2.0, matrix_scale=3.0, sgd_momentum=0.5
    )
    bias, matrix = keras.Variable(np.zeros(2)), keras.Variable(np.zeros((2, 2)))
    for _ in range(2):
        gradients = [keras.ops.ones(2), keras.ops.ones((2, 2))]
        optimizer.apply(gradients, [bias, matrix])
    # The momenta are 1 and 1.5; a step is the gradient plus half of the momentum.
    np.testing.assert_allclose(bias, -0.2 * (1.5 + 1.75), rtol=1e-6)
    np.testing.assert_allclose(matrix, -0.3 * (1.5 + 1.75), rtol=1e-6)


def test_filter_muon_survives_serialization():
    optimizer = FilterMuon(learning_rate=0.1, bias_scale=2.0)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()
