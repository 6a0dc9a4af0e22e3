import contextlib
import functools
import importlib.util
import io
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from rich.console import Console

from modelyard.training import fit
from modelyard.training.fit import DivergenceError, fit_resumably
from modelyard.training.progress import ProgressDisplay

_SCRIPT = Path(__file__).with_name("interrupted_fit.py")


@pytest.fixture(scope="module")
def script():
    """The script that trains, as a module."""
    spec = importlib.util.spec_from_file_location(_SCRIPT.stem, _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def uninterrupted(script, tmp_path_factory):
    """State and history of trainings that nothing interrupts, by model."""
    return {
        name: script.train(name, tmp_path_factory.mktemp(name))
        for name in script.BUILDERS
    }


def _assert_same_bits(found, expected):
    (state, history), (expected_state, expected_history) = found, expected
    for value, other in zip(state, expected_state, strict=True):
        np.testing.assert_array_equal(value, other)
    assert history == expected_history


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "option", "value", "finished_epochs"),
    [
        ("classifier", "--die-at-step", 30, 2),
        ("classifier", "--die-in-checkpoint", 3, 2),
        ("adversaries", "--die-at-step", 30, 2),
    ],
)
def test_killed_training_ends_with_the_same_bits(
    tmp_path, script, uninterrupted, model, option, value, finished_epochs
):
    killed = subprocess.run(
        [sys.executable, _SCRIPT, model, tmp_path, option, str(value)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    saved = list((tmp_path / "checkpoints").glob("epoch-*.npz"))
    assert len(saved) == finished_epochs
    _assert_same_bits(script.train(model, tmp_path), uninterrupted[model])
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


@pytest.mark.slow
def test_training_interrupted_before_the_first_checkpoint_starts_again(
    tmp_path, script, uninterrupted, monkeypatch
):
    def interrupt(_recorder, batch, **_):
        if batch == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit._Recorder, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            script.train("classifier", tmp_path)
    assert not list((tmp_path / "checkpoints").iterdir())
    found = script.train("classifier", tmp_path)
    _assert_same_bits(found, uninterrupted["classifier"])


def test_models_may_have_metrics_of_their_own(uninterrupted):
    _, history = uninterrupted["adversaries"]
    assert set(history[0]) == {
        "epoch", "critic_loss", "generator_loss", "val_brightness", "learning_rate",
    }  # fmt: skip
    # That of `critic_optimizer`, which comes before `generator_optimizer`.
    assert [row["learning_rate"] for row in history] == pytest.approx([0.01] * 4)


def test_any_optimizer_may_average_its_weights(script, uninterrupted):
    state, history = uninterrupted["adversaries"]
    keras.utils.set_random_seed(0)
    model = script.Adversaries()
    for variable, value in zip(script.state_of(model), state, strict=True):
        variable.assign(value)
    averages = model.generator_optimizer._model_variables_moving_average
    for average, weights in zip(averages, model.generator.weights, strict=True):
        np.testing.assert_array_equal(average, weights)
    # Validation sees the averages, too.
    brightness = float(model.test_step(None)["brightness"])
    assert brightness == pytest.approx(history[-1]["val_brightness"], rel=1e-5)


def test_optimizers_must_be_built_before_the_training(script, tmp_path):
    with pytest.raises(
        ValueError, match=r"must build its optimizers .* adam\w*, which"
    ):
        _fit(script.Adversaries(builds_optimizers=False), tmp_path, 1)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (1e30, r"The critic_loss became .* at step \d+, with .* rate of 1e\+30"),
        (np.nan, r"The weights .* became infinite or not a number in epoch 1"),
    ],
)
def test_losses_and_weights_must_stay_finite(script, tmp_path, rate, message):
    model = script.Adversaries()
    model.critic_optimizer.learning_rate = rate
    with pytest.raises(DivergenceError, match=message):
        _fit(model, tmp_path, 50, data=_images)


def _linear_model(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def _dataset(epochs, target=1.0):
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 2)), tf.float32)
    y = tf.fill((8, 1), target)
    return tf.data.Dataset.from_tensors((x, y)).repeat(epochs)


def _images(epochs):
    data = tf.random.stateless_uniform((8, 8, 8, 1), (0, 0), maxval=255.0)
    return tf.data.Dataset.from_tensors((data, tf.zeros(8))).repeat(epochs)


def _fit(model, folder, epochs, *, data=_dataset, patience=0, console=None):
    return fit_resumably(
        model,
        lambda finished: data(epochs - finished),
        data(1),
        epochs=epochs,
        steps_per_epoch=1,
        folder=folder,
        patience=patience,
        console=console or Console(quiet=True),
    )


def test_loss_that_is_not_finite_stops_with_step_and_rate(tmp_path):
    model = _linear_model(keras.optimizers.SGD(1e30))
    with pytest.raises(DivergenceError, match=r"at step \d+, with .* rate of 1e\+30"):
        _fit(model, tmp_path, 50)


def test_history_and_progress_of_a_regression_need_no_accuracy(tmp_path):
    model = _linear_model("sgd")
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    console = Console(file=io.StringIO(), width=120)
    _fit(model, tmp_path, 3, console=console)
    table = pd.read_csv(tmp_path / "history.csv")
    assert table["epoch"].tolist() == [1, 2, 3]
    assert set(table.columns) == {
        "epoch", "loss", "mae", "val_loss", "val_mae", "learning_rate", "seconds",
    }  # fmt: skip
    assert table["seconds"].is_monotonic_increasing
    lines = console.file.getvalue().splitlines()
    assert lines[2].startswith("epoch 3/3")
    assert f"val_mae {table['val_mae'][2]:.4f}" in lines[2]


def test_early_stopping_leaves_the_best_weights(tmp_path):
    # With this learning rate, the first step is the best; later ones overshoot.
    model = _linear_model(keras.optimizers.SGD(0.9))
    data = functools.partial(_dataset, target=5.0)
    progress = _fit(model, tmp_path, 30, data=data, patience=2)
    losses = [row["val_loss"] for row in progress.history]
    assert progress.stopped_early
    assert len(losses) < 30
    assert progress.epoch == int(np.argmin(losses)) + 1 + 2
    assert model.evaluate(_dataset(1, 5.0), verbose=0) == pytest.approx(min(losses))


def test_early_stopping_needs_a_validation_loss(script, tmp_path):
    with pytest.raises(ValueError, match=r"`patience` must be 0 .*val_brightness"):
        _fit(script.Adversaries(), tmp_path, 2, data=_images, patience=1)


def test_finished_training_is_not_trained_again(tmp_path):
    first = _linear_model("sgd")
    _fit(first, tmp_path, 2)
    again = _linear_model("sgd")
    assert _fit(again, tmp_path, 2).epoch == 2
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])


def test_averaged_weights_are_left_in_the_model(tmp_path):
    model = _linear_model(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    _fit(model, tmp_path, 3)
    average = model.optimizer._model_variables_moving_average[0]
    np.testing.assert_array_equal(average, model.get_weights()[0])


def test_swallowed_interrupt_stops_the_training(tmp_path, monkeypatch):
    steps = []

    def swallow_interrupt(_display, batch, **_):
        steps.append(batch)
        # As Keras does: see `keras.src.utils.python_utils.pythonify_logs`.
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressDisplay, "on_train_batch_end", swallow_interrupt)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _fit(_linear_model("sgd"), tmp_path, 5)
    assert steps == [0]
    assert signal.getsignal(signal.SIGINT) is before
