"""Measures how long training waits for input."""

import tensorflow as tf

from modelyard.data.stream import plain_options


class InputClock:
    """Measures how long the consumer of a dataset waits for its elements.

    If the wait is close to zero, the input pipeline keeps up; if it is close to the
    training time, the input pipeline is the bottleneck.
    """

    def __init__(self) -> None:
        """Starts at zero seconds."""
        with tf.device("CPU"):
            self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    @property
    def wait_seconds(self) -> float:
        """Total seconds waited so far."""
        return float(self._waited.numpy())

    def attach(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Puts the clock between a dataset and its consumer.

        Args:
            dataset: Any dataset. Elements that it has already prefetched add no wait.

        Returns:
            A dataset of the same elements. Consume it directly: prefetching after the
            clock would hide the wait.
        """

        def stop(asked_at, element):
            self._waited.assign_add(tf.timestamp() - asked_at)
            return element

        # `zip` reads its inputs in turn: first the time, then the element.
        asked = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        clocked = tf.data.Dataset.zip(asked, dataset).map(stop)
        options = plain_options()
        options.experimental_optimization.inject_prefetch = False
        return clocked.with_options(options)
