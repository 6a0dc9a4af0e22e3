"""Data sets of TensorFlow Datasets: prepared ones as they are, others downloaded."""

import logging
from pathlib import Path
from typing import Any

import requests

from modelyard.data.cards.card import DatasetCard
from modelyard.data.errors import DatasetUnavailableError

_logger = logging.getLogger(__name__)
_PROBE_SECONDS = 10
_EMBEDDED = {
    "images": "'digits' (grey) and 'photos' (colour)",
    "texts": "'reviews' (pip install 'modelyard[samples]')",
}


def open_builder(card: DatasetCard, data_dir: Path) -> Any:
    """Finds a data set; downloads it only if it is not prepared yet.

    Args:
        card: A card with a `tfds_name`.
        data_dir: Folder of prepared data sets.

    Returns:
        The `tfds.core.DatasetBuilder`, ready for `as_dataset`.

    Raises:
        DatasetUnavailableError: If it has to be downloaded and cannot be.
    """
    import tensorflow_datasets as tfds  # Slow to import; not needed elsewhere.

    builder = tfds.builder(card.tfds_name, data_dir=data_dir)
    if not builder.is_prepared():
        _download(builder, card, data_dir)
    return builder


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
            "where it is. Without a network, the embedded data sets work: "
            f"{_EMBEDDED[card.content]}."
        ) from error
