import time

import tensorflow as tf

from modelyard.data.input_clock import InputClock


def slow_dataset(seconds, count):
    def sleep(x):
        time.sleep(seconds)
        return x

    return tf.data.Dataset.range(count).map(
        lambda x: tf.ensure_shape(tf.numpy_function(sleep, [x], tf.int64), ())
    )


def test_wait_for_a_slow_dataset_is_measured():
    clock = InputClock()
    assert clock.wait_seconds == 0
    assert [int(x) for x in clock.attach(slow_dataset(0.05, 6))] == list(range(6))
    assert 0.29 < clock.wait_seconds < 0.6


def test_time_of_a_slow_consumer_is_not_measured():
    clock = InputClock()
    for _ in clock.attach(slow_dataset(0.02, 6).prefetch(2)):
        time.sleep(0.06)
    # The consumer waits for the first element only.
    assert clock.wait_seconds < 0.06


def test_elements_are_unchanged():
    dataset = tf.data.Dataset.from_tensor_slices(([5, 3, 4], ["a", "b", "c"]))
    clocked = InputClock().attach(dataset.batch(2))
    assert clocked.element_spec == dataset.batch(2).element_spec
    batches = [(x.tolist(), y.tolist()) for x, y in clocked.as_numpy_iterator()]
    assert batches == [([5, 3], [b"a", b"b"]), ([4], [b"c"])]
