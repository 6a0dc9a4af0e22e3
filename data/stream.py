"""Options and argument checks shared by all `tf.data` pipelines."""

import tensorflow as tf


def plain_options() -> tf.data.Options:
    """Returns options that disable the `tf.data.AUTOTUNE` thread.

    That thread sleeps for seconds at a time, and destroying an iterator waits for it,
    so every `fit` would end with a pause.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def check_stream(seed: int, epochs: int, first_epoch: int) -> None:
    """Checks the arguments of a training stream.

    Args:
        seed: Seed of the order of examples.
        epochs: Epochs of the whole run.
        first_epoch: Epoch to start at.

    Raises:
        ValueError: If `first_epoch` is not in [0, epochs) or `seed` is not in
            [0, 2**31).
    """
    if not 0 <= first_epoch < epochs:
        raise ValueError(
            "`first_epoch` must be in [0, epochs). "
            f"Received: first_epoch={first_epoch}, epochs={epochs}"
        )
    if not 0 <= seed < 2**31:
        raise ValueError(f"`seed` must be in [0, 2**31). Received: seed={seed}")
