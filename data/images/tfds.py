"""Images from TensorFlow Datasets."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from modelyard.data.cards.card import DatasetCard
from modelyard.data.images.examples import Examples
from modelyard.data.tfds_builder import open_builder


def load_tfds_images(card: DatasetCard, data_dir: Path) -> dict[str, Examples]:
    """Reads every official split; downloads the data set if necessary.

    Args:
        card: A card with a `tfds_name`.
        data_dir: Folder of prepared data sets.

    Returns:
        Examples by split, in file order.

    Raises:
        DatasetUnavailableError: If the download fails.
    """
    builder = open_builder(card, data_dir)
    return {split: _read_split(builder, card, split) for split in card.splits}


def _read_split(builder, card, split):
    """Reads one split into arrays."""
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, as_supervised=True
    ).batch(1000, num_parallel_calls=tf.data.AUTOTUNE)
    batches = list(dataset.as_numpy_iterator())
    images = np.concatenate([batch for batch, _ in batches])
    labels = np.concatenate([batch for _, batch in batches])
    if card.transpose:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return Examples(images, labels - card.label_offset)
