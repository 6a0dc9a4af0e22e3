"""Images from TensorFlow Datasets."""

import logging
from pathlib import Path

import numpy as np
import requests
import tensorflow as tf

from modelyard.data.dataset_card import DatasetCard
from modelyard.data.errors import DatasetUnavailableError
from modelyard.data.examples import Examples

_logger = logging.getLogger(__name__)
_PROBE_SECONDS = 10


def load_tfds_images(card: DatasetCard, data_dir: Path) -> dict[str, Examples]:
    """Reads every official split; downloads only what is not prepared yet.

    Args:
        card: A card with a `tfds_name`.
        data_dir: Folder of prepared data sets.

    Returns:
        Examples by split, in the order of the files.

    Raises:
        DatasetUnavailableError: If it has to be downloaded and cannot be.
    """
    import tensorflow_datasets as tfds  # Slow to import; not needed elsewhere.

    builder = tfds.builder(card.tfds_name, data_dir=data_dir)
    if not builder.is_prepared():
        _download(builder, card, data_dir)
    return {split: _read_split(builder, card, split) for split in card.splits}


def _download(builder, card, data_dir):
    """Downloads and prepares a data set."""
    try:
        # TensorFlow Datasets asks each server ten times over minutes and sets no
        # time limit, so a machine without a network has to be found out before.
        requests.head(card.download_url, timeout=_PROBE_SECONDS).close()
        _logger.info("Downloading %s to %s", card.name, data_dir)
        builder.download_and_prepare()
    except Exception as error:
        # Whatever went wrong, the answer for the user is the same.
        raise DatasetUnavailableError(
            f"The data set {card.name!r} is not prepared in "
            f"{data_dir / card.tfds_name}, and its download failed "
            f"({card.download_url}: {type(error).__name__}: {error}). Prepare it on a "
            "machine with a network and copy the folder, or set `TFDS_DATA_DIR` to "
            "where it is. Without a network, the embedded data sets work: 'digits' "
            "(grey) and 'photos' (colour)."
        ) from error


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
