"""Texts from TensorFlow Datasets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from modelyard.data.cards.card import DatasetCard
from modelyard.data.texts.examples import TextExamples
from modelyard.data.tfds_builder import open_builder


def load_tfds_texts(
    card: DatasetCard, data_dir: Path, *, splits: Sequence[str]
) -> dict[str, TextExamples]:
    """Reads splits of a data set; downloads it if necessary.

    Args:
        card: A card with a `tfds_name`.
        data_dir: Folder of prepared data sets.
        splits: Names of the splits to read.

    Returns:
        Examples by split, in file order. Unlabelled examples have the label -1.

    Raises:
        DatasetUnavailableError: If the download fails.
    """
    builder = open_builder(card, data_dir)
    return {split: _read_split(builder, split) for split in splits}


def _read_split(builder, split):
    """Reads one split into arrays."""
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, as_supervised=True
    ).batch(1000, num_parallel_calls=tf.data.AUTOTUNE)
    batches = list(dataset.as_numpy_iterator())
    texts = [text.decode(errors="replace") for batch, _ in batches for text in batch]
    labels = np.concatenate([batch for _, batch in batches])
    return TextExamples(np.array(texts, dtype=object), labels)
