import keras
import numpy as np
import pytest

from modelyard.training.checkpoint import (
    Progress,
    build_optimizers,
    find_optimizers,
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
    build_optimizers(model)
    return model


def _train(model, epochs=1):
    model.fit(_X, _Y, epochs=epochs, shuffle=False, verbose=0)


def test_restored_training_continues_with_the_same_numbers(tmp_path):
    # Dropout, batch statistics and Adam's momenta must all be restored.
    straight = _model()
    _train(straight)
    save_checkpoint(tmp_path / "a.npz", straight, Progress(epoch=1))
    _train(straight)
    other = _model(seed=1)
    assert load_checkpoint(tmp_path / "a.npz", other).epoch == 1
    _train(other)
    for ours, theirs in zip(straight.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_progress_is_restored_completely(tmp_path):
    model = _model()
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
    save_checkpoint(tmp_path / "a.npz", model, Progress())
    with pytest.raises(ValueError, match=r"same model and optimizer.*a\.npz"):
        load_checkpoint(tmp_path / "a.npz", _model(units=9))


def test_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, caplog):
    model = _model()
    save_epoch(tmp_path, model, Progress(epoch=1))
    save_epoch(tmp_path, model, Progress(epoch=2))
    newest = tmp_path / "epoch-00002.npz"
    newest.write_bytes(newest.read_bytes()[:-200])
    assert load_latest(tmp_path, model).epoch == 1
    assert "epoch-00002.npz" in caplog.text


def test_folder_without_checkpoints_gives_empty_progress(tmp_path):
    assert load_latest(tmp_path, _model()) == Progress()


def test_only_the_last_two_epochs_are_kept(tmp_path):
    model = _model()
    for epoch in (1, 2, 3):
        save_epoch(tmp_path, model, Progress(epoch=epoch))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-00002.npz", "epoch-00003.npz"]


class _Parts(keras.Model):
    """A model with optimizers in many places."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.dense.build((None, 2))
        self.built = True

    def call(self, inputs):
        return self.dense(inputs)


def test_all_optimizers_are_found_once_and_in_order():
    a, b, c, d, e = (keras.optimizers.SGD(name=name) for name in "abcde")
    model = _Parts()
    model.zebra_optimizer = a
    model.by_name = {"one": b, "same": a}
    model.others = [(c,), a]
    model.compile(keras.optimizers.LossScaleOptimizer(d, name="wrapper"))
    model.alias = d
    model.critic_optimizer = e
    names = [optimizer.name for optimizer in find_optimizers(model)]
    assert names == ["d", "wrapper", "b", "a", "e", "c"]


def test_replaced_optimizer_is_forgotten():
    model = _Parts()
    model.compile("adam")
    model.own_optimizer = keras.optimizers.SGD(name="own")
    model.compile(None)
    assert [optimizer.name for optimizer in find_optimizers(model)] == ["own"]


def test_state_inside_wrappers_is_restored(tmp_path):
    model, other = _Parts(), _Parts()
    for each in (model, other):
        inner = keras.optimizers.SGD(0.1, momentum=0.9)
        each.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    build_optimizers(model)
    model.optimizer.dynamic_scale.assign(8.0)
    (momentum, _) = model.optimizer.inner_optimizer.momentums
    momentum.assign(keras.ops.ones((2, 2)))
    save_checkpoint(tmp_path / "a.npz", model, Progress())
    load_checkpoint(tmp_path / "a.npz", other)
    assert float(other.optimizer.dynamic_scale) == 8.0
    np.testing.assert_array_equal(other.optimizer.inner_optimizer.momentums[0], 1.0)


def test_optimizer_that_is_not_built_is_named(tmp_path):
    model = _Parts()
    model.critic_optimizer = keras.optimizers.SGD(momentum=0.9, name="critics")
    model.compile(None)
    save_checkpoint(tmp_path / "a.npz", model, Progress())
    with pytest.raises(ValueError, match=r"optimizer\.build\(variables\).*critics"):
        load_checkpoint(tmp_path / "a.npz", model)


def test_model_without_any_optimizer_is_refused():
    model = _Parts()
    model.compile(None)
    with pytest.raises(ValueError, match=r"must be compiled with an optimizer or"):
        build_optimizers(model)
