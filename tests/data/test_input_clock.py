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


def test_clock_counts_the_wait_for_a_slow_dataset():
    clock = InputClock()
    assert clock.wait_seconds == 0
    assert [int(x) for x in clock.attach(slow_dataset(0.05, 6))] == list(range(6))
    assert 0.29 < clock.wait_seconds < 0.6


def test_clock_does_not_count_the_time_of_a_slow_consumer():
    clock = InputClock()
    for _ in clock.attach(slow_dataset(0.02, 6).prefetch(2)):
        time.sleep(0.06)
    # Only the first element is waited for.
    assert clock.wait_seconds < 0.06


def test_clock_passes_the_elements_on():
    dataset = tf.data.Dataset.from_tensor_slices(([5, 3, 4], ["a", "b", "c"]))
    clocked = InputClock().attach(dataset.batch(2))
    assert clocked.element_spec == dataset.batch(2).element_spec
    batches = [(x.tolist(), y.tolist()) for x, y in clocked.as_numpy_iterator()]
    assert batches == [([5, 3], [b"a", b"b"]), ([4], [b"c"])]
