import keras
import numpy as np
import pytest

from modelyard.training.checkpoint import (
    Progress,
    load_checkpoint,
    load_latest,
    save_checkpoint,
    save_epoch,
)

_X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
_Y = _X.sum(axis=1, keepdims=True)


def _model(seed=0, units=8):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    optimizer = keras.optimizers.Adam(0.01, use_ema=True)
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def _train(model, epochs=1):
    model.fit(_X, _Y, epochs=epochs, shuffle=False, verbose=0)


def test_restored_training_goes_on_with_the_same_numbers(tmp_path):
    # Dropout, batch statistics and Adam's momenta all have to come back.
    straight = _model()
    _train(straight)
    save_checkpoint(tmp_path / "a.npz", straight, Progress(epoch=1))
    _train(straight)
    other = _model(seed=1)
    assert load_checkpoint(tmp_path / "a.npz", other).epoch == 1
    _train(other)
    for ours, theirs in zip(straight.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_progress_comes_back_whole(tmp_path):
    model = _model()
    _train(model)
    progress = Progress(
        epoch=3,
        history=[{"epoch": 1, "loss": 0.1}],
        train_seconds=1.5,
        best_value=0.25,
        epochs_without_gain=2,
    )
    save_checkpoint(tmp_path / "a.npz", model, progress)
    assert load_checkpoint(tmp_path / "a.npz", model) == progress


def test_another_model_is_refused(tmp_path):
    model = _model()
    _train(model)
    save_checkpoint(tmp_path / "a.npz", model, Progress())
    with pytest.raises(ValueError, match=r"same model and optimizer.*a\.npz"):
        load_checkpoint(tmp_path / "a.npz", _model(units=9))


def test_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, caplog):
    model = _model()
    _train(model)
    save_epoch(tmp_path, model, Progress(epoch=1))
    save_epoch(tmp_path, model, Progress(epoch=2))
    newest = tmp_path / "epoch-00002.npz"
    newest.write_bytes(newest.read_bytes()[:-200])
    assert load_latest(tmp_path, model).epoch == 1
    assert "epoch-00002.npz" in caplog.text


def test_folder_without_checkpoints_means_the_beginning(tmp_path):
    assert load_latest(tmp_path, _model()) == Progress()


def test_only_the_last_two_epochs_are_kept(tmp_path):
    model = _model()
    _train(model)
    for epoch in (1, 2, 3):
        save_epoch(tmp_path, model, Progress(epoch=epoch))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-00002.npz", "epoch-00003.npz"]
