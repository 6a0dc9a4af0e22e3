import contextlib
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

from modelyard.training.fit import DivergenceError, fit_resumably
from modelyard.training.progress import ProgressDisplay

_SCRIPT = Path(__file__).with_name("interrupted_fit.py")


def _run(folder, *options):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, _SCRIPT, folder, *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
    )


def _final(folder):
    with np.load(folder / "final.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    done = _run(folder)
    assert done.returncode == 0, done.stderr
    return _final(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "epochs_left_behind"),
    [
        ("--die-at-step", 5, 0),  # In the first epoch: nothing is saved yet.
        ("--die-at-step", 30, 2),  # In the third.
        ("--die-in-checkpoint", 3, 2),  # Half of the third checkpoint is written.
    ],
)
def test_killed_training_ends_with_the_same_bits(
    tmp_path, uninterrupted, option, value, epochs_left_behind
):
    killed = _run(tmp_path, option, value)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "final.npz").exists()
    saved = sorted((tmp_path / "checkpoints").glob("epoch-*.npz"))
    assert len(saved) == min(epochs_left_behind, 2)
    resumed = _run(tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    if epochs_left_behind:
        assert f"after epoch {epochs_left_behind} of 4" in resumed.stdout
    final = _final(tmp_path)
    assert final.keys() == uninterrupted.keys()
    for name, value in final.items():
        np.testing.assert_array_equal(value, uninterrupted[name], err_msg=name)
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


def _linear_model(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def _dataset(epochs, target=1.0):
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 2)), tf.float32)
    y = tf.fill((8, 1), target)
    return tf.data.Dataset.from_tensors((x, y)).repeat(epochs)


def _fit(model, folder, epochs, *, target=1.0, patience=0):
    return fit_resumably(
        model,
        lambda finished: _dataset(epochs - finished, target),
        _dataset(1, target),
        epochs=epochs,
        steps_per_epoch=1,
        folder=folder,
        patience=patience,
        console=Console(quiet=True),
    )


def test_loss_that_is_not_finite_stops_with_step_and_rate(tmp_path):
    model = _linear_model(keras.optimizers.SGD(1e30))
    with pytest.raises(DivergenceError, match=r"at step \d+, with .* rate of 1e\+30"):
        _fit(model, tmp_path, 50)


def test_history_has_a_row_for_every_epoch(tmp_path):
    _fit(_linear_model("sgd"), tmp_path, 3)
    table = pd.read_csv(tmp_path / "history.csv")
    assert table["epoch"].tolist() == [1, 2, 3]
    assert {"loss", "val_loss", "learning_rate", "seconds"} <= set(table.columns)
    assert table["seconds"].is_monotonic_increasing


def test_early_stopping_leaves_the_best_weights(tmp_path):
    # The first step is perfect for this learning rate; the next ones overshoot.
    model = _linear_model(keras.optimizers.SGD(0.9))
    progress = _fit(model, tmp_path, 30, target=5.0, patience=2)
    losses = [row["val_loss"] for row in progress.history]
    assert progress.stopped_early
    assert len(losses) < 30
    assert progress.epoch == int(np.argmin(losses)) + 1 + 2
    assert model.evaluate(_dataset(1, 5.0), verbose=0) == pytest.approx(min(losses))


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


def test_interrupt_that_gets_lost_stops_the_training(tmp_path, monkeypatch):
    steps = []

    def lose_interrupt(_display, batch, **_):
        steps.append(batch)
        # As Keras does: see `keras.src.utils.python_utils.pythonify_logs`.
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressDisplay, "on_train_batch_end", lose_interrupt)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit_resumably(
            _linear_model("sgd"),
            lambda finished: _dataset(5 - finished),
            _dataset(1),
            epochs=5,
            steps_per_epoch=1,
            folder=tmp_path,
            console=Console(quiet=True),
        )
    assert steps == [0]
    assert signal.getsignal(signal.SIGINT) is before
