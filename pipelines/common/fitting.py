"""Building, compiling and fitting a model as a config says."""

from collections.abc import Callable

import keras
import tensorflow as tf

from modelyard.training.checkpoint import Progress
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import dtype_policy, resolve_precision, resolve_xla
from modelyard.training.run import Run


def build_and_fit(
    run: Run,
    build: Callable[[], keras.Model],
    loss: keras.losses.Loss,
    make_dataset: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    *,
    epochs: int,
    steps_per_epoch: int,
) -> tuple[keras.Model, Progress]:
    """Trains a model in the precision of the config, and begins the run.

    Args:
        run: The run, whose config has the usual settings and groups.
        build: Builds the model, uncompiled.
        loss: Its loss.
        make_dataset: As for `fit_resumably`.
        validation: As for `fit_resumably`.
        epochs: As for `fit_resumably`.
        steps_per_epoch: As for `fit_resumably`.

    Returns:
        The trained model in float32, and its history.
    """
    config = run.config
    with run.timed("build"):
        keras.utils.set_random_seed(config.seed)
        with dtype_policy(resolve_precision(config.training.precision)):
            trained = build()
        optimizer = make_optimizer(
            **vars(config.optimization),
            learning_rate=config.learning_rate,
            total_steps=steps_per_epoch * epochs,
        )
        trained.compile(optimizer, loss, jit_compile=resolve_xla(config.training.xla))
    run.begin(trained)
    progress = run.fit(
        trained,
        make_dataset,
        validation,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    with dtype_policy("float32"):
        model = build()
    model.set_weights(trained.get_weights())
    return model, progress
