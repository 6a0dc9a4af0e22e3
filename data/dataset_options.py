"""Options of all our `tf.data` pipelines."""

import tensorflow as tf


def plain_options() -> tf.data.Options:
    """Returns options without the thread that tunes `tf.data.AUTOTUNE`.

    It sleeps for seconds at a time, and destroying an iterator waits for it: every
    `fit` would end with a pause.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
