"""What all our `tf.data` pipelines share: options, and a check of arguments."""

import tensorflow as tf


def plain_options() -> tf.data.Options:
    """Returns options without the thread that tunes `tf.data.AUTOTUNE`.

    It sleeps for seconds at a time, and destroying an iterator waits for it: every
    `fit` would end with a pause.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def check_stream(seed: int, epochs: int, first_epoch: int) -> None:
    """Raises unless these describe the batches of a run, or of the rest of one.

    Args:
        seed: Seed of the order.
        epochs: Epochs of the whole run.
        first_epoch: Epoch to start at.

    Raises:
        ValueError: If the epoch is not in [0, epochs) or the seed not in [0, 2**31).
    """
    if not 0 <= first_epoch < epochs:
        raise ValueError(
            "`first_epoch` must be in [0, epochs). "
            f"Received: first_epoch={first_epoch}, epochs={epochs}"
        )
    if not 0 <= seed < 2**31:
        raise ValueError(f"`seed` must be in [0, 2**31). Received: seed={seed}")
