"""How long a training waits for its input."""

import tensorflow as tf

from modelyard.data.stream import plain_options


class InputClock:
    """Measures how long the consumer of a dataset waits for its elements.

    A share of waiting near zero means that the input pipeline keeps up; near the
    whole time of training, that it is the bottleneck.
    """

    def __init__(self) -> None:
        """Starts at zero seconds."""
        with tf.device("CPU"):
            self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    @property
    def wait_seconds(self) -> float:
        """Seconds waited so far, over all iterations."""
        return float(self._waited.numpy())

    def attach(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Puts the clock between a dataset and its consumer.

        Args:
            dataset: Any dataset; what it prefetches itself costs no waiting.

        Returns:
            A dataset of the same elements, to be consumed as it is: anything that
            prefetches behind the clock would hide the waiting.
        """

        def stop(asked_at, element):
            self._waited.assign_add(tf.timestamp() - asked_at)
            return element

        # `zip` asks its parts in turn: first the time, then the element.
        asked = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        clocked = tf.data.Dataset.zip(asked, dataset).map(stop)
        options = plain_options()
        options.experimental_optimization.inject_prefetch = False
        return clocked.with_options(options)
