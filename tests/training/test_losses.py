import keras
import numpy as np
import pytest

from modelyard.training.losses import SmoothedCrossentropy


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_smoothed_loss_is_the_mean_cross_entropy_with_smoothed_labels(shape):
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    labels = np.array([0, 3, 1, 2, 2])
    targets = 0.8 * np.eye(4)[labels] + 0.2 / 4
    log_scores = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -(targets * log_scores).sum(1).mean()
    ours = SmoothedCrossentropy(0.2)(labels.reshape(shape), logits)
    assert float(ours) == pytest.approx(expected, rel=1e-6)


def test_loss_keeps_its_registered_name():
    # Saved models contain it.
    config = keras.saving.serialize_keras_object(SmoothedCrossentropy(0.3))
    assert config["registered_name"] == "modelyard>SmoothedCrossentropy"
    assert keras.saving.deserialize_keras_object(config).label_smoothing == 0.3
