"""Fast `tf.data` input pipelines for images that fit in memory.

The order of the examples and every random choice are pure functions of the seed, the
epoch and the step, so a run resumed at any epoch gets exactly the batches of an
uninterrupted run.
"""

import math
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from modelyard.data.images.augment import augment_images
from modelyard.data.images.augmentation import NO_AUGMENTATION, Augmentation
from modelyard.data.stream import check_stream, plain_options

_WORKERS = os.cpu_count() or 1
_PREFETCHED = 4  # Batches.


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns the number of batches of one training epoch.

    Args:
        num_examples: Size of the training split, at least 1.
        batch_size: Examples per batch, at least 1. An incomplete last batch is
            dropped, unless it is the only one.

    Returns:
        Number of steps, at least 1.

    Raises:
        ValueError: If an argument is below 1.
    """
    for argument, value in (("num_examples", num_examples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(
                f"`{argument}` must be at least 1. Received: {argument}={value}"
            )
    return max(1, num_examples // batch_size)


def plan_epochs(
    num_examples: int, *, epochs: int, batch_size: int, min_updates: int
) -> tuple[int, int]:
    """Returns the epochs of a training, more for few examples, and the updates of each.

    Args:
        num_examples: Size of the training split, at least 1.
        epochs: Epochs to train for at least; 0 for none.
        batch_size: Examples per batch; reduced to `num_examples` if larger.
        min_updates: Updates of the whole training, at least.
    """
    steps = steps_per_epoch(num_examples, min(batch_size, num_examples))
    if not epochs:
        return 0, steps
    return max(epochs, math.ceil(min_updates / steps)), steps


def make_training_dataset(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epochs: int,
    first_epoch: int = 0,
    augmentation: Augmentation = NO_AUGMENTATION,
    small_epochs: int = 0,
) -> tf.data.Dataset:
    """Makes one stream of shuffled, augmented batches for all epochs.

    Each epoch has `steps_per_epoch(len(images), batch_size)` batches of the same
    static shape, and uses each example at most once. There is no pause between epochs.

    Args:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
        batch_size: Examples per batch; reduced to `n` if larger.
        seed: Seed of order and augmentation, in [0, 2**31).
        epochs: Epochs of the whole run.
        first_epoch: Epoch to start at, in [0, epochs), for resumed runs.
        augmentation: Random transformations of the images.
        small_epochs: Number of epochs, from the first, with images shrunk to three
            quarters of their height and width.

    Returns:
        A dataset of `(images, labels)`: uint8 `(batch, height, width, channels)` in
        [0, 255] and int64 `(batch,)`. With `small_epochs`, height and width are not
        static.

    Raises:
        ValueError: If the arrays disagree or an argument is out of range.
    """
    _check_arrays(images, labels)
    steps = steps_per_epoch(len(images), batch_size)
    check_stream(seed, epochs, first_epoch)
    augmentation.check_fits(images.shape[1:])

    batch_size = min(batch_size, len(images))
    held = _hold_on_host(images, labels)
    # As in the paper, cutout fills with the mean colour, which is zero after the model
    # standardises its input.
    mean_colour = images.mean(axis=(0, 1, 2)) if augmentation.cutout else 0.0
    small_size = [max(1, side * 3 // 4) for side in images.shape[1:3]]
    # The images to mirror in even epochs.
    mirrored_first = np.random.default_rng(seed).random(len(images)) < 0.5

    def epoch_batches(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(images)),
            # Even here and odd in `make_batch`, so the random streams differ.
            seed=tf.stack([tf.constant(seed, tf.int64), 2 * epoch]),
            alg="philox",
        )
        batches = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        step = epoch * steps + tf.range(steps, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((step, batches))

    def make_batch(step, indices):
        batch = tf.gather(held.images, indices)
        epoch = step // steps
        mirrored = None
        if augmentation.alternate_flip:
            mirrored = tf.gather(mirrored_first, indices) != (epoch % 2 == 1)
        batch = augment_images(
            batch,
            augmentation,
            seed=tf.stack([tf.constant(seed, tf.int64), 2 * step + 1]),
            fill=mean_colour,
            mirrored=mirrored,
        )
        if small_epochs:
            batch = tf.cond(
                epoch < small_epochs, lambda: _resize(batch, small_size), lambda: batch
            )
            batch.set_shape((batch_size, None, None, images.shape[-1]))
        return batch, tf.gather(held.labels, indices)

    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(epoch_batches)
        .map(make_batch, num_parallel_calls=_WORKERS, deterministic=True)
        .prefetch(_PREFETCHED)
        .with_options(plain_options())
    )


def make_evaluation_dataset(
    images: np.ndarray, labels: np.ndarray, *, batch_size: int
) -> tf.data.Dataset:
    """Makes batches of all examples, in order and unchanged.

    Args:
        images: uint8 `(n, height, width, channels)`.
        labels: int64 `(n,)`.
        batch_size: Examples per batch, at least 1; the last may be smaller.

    Returns:
        A dataset of `(images, labels)` batches, dtypes unchanged.

    Raises:
        ValueError: If the arrays disagree or `batch_size` is below 1.
    """
    _check_arrays(images, labels)
    steps_per_epoch(len(images), batch_size)  # Checks `batch_size`.
    held = _hold_on_host(images, labels)

    def make_batch(start):
        # Copying slices is far faster than copying one example at a time.
        rows = slice(start, tf.minimum(start + batch_size, len(images)))
        return held.images[rows], held.labels[rows]

    return (
        tf.data.Dataset.range(0, len(images), batch_size)
        .map(make_batch, num_parallel_calls=_WORKERS, deterministic=True)
        .prefetch(_PREFETCHED)
        .with_options(plain_options())
    )


def _resize(images, size):
    """Shrinks uint8 images by averaging areas."""
    smaller = tf.image.resize(images, size, method="area")
    return tf.cast(tf.round(smaller), tf.uint8)


class _HostTensors(NamedTuple):
    """Images and labels in host memory."""

    images: tf.Tensor
    labels: tf.Tensor


def _hold_on_host(images, labels):
    """Makes eager tensors that datasets capture, instead of graph constants."""
    with tf.device("CPU"):  # The default would be the GPU, if there is one.
        return _HostTensors(tf.convert_to_tensor(images), tf.convert_to_tensor(labels))


def _check_arrays(images, labels):
    """Raises unless there are uint8 images and the same number of int64 labels."""
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            "`images` must be uint8 (n, height, width, channels) with n at least 1. "
            f"Received: images of {images.dtype} {images.shape}"
        )
    if labels.dtype != np.int64 or labels.shape != (len(images),):
        raise ValueError(
            f"`labels` must be int64 ({len(images)},), one for each image. "
            f"Received: labels of {labels.dtype} {labels.shape}"
        )
