"""Access to TensorFlow Datasets; downloads data sets that are not prepared."""

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
    """Opens a data set; downloads and prepares it first if necessary.

    Args:
        card: A card with a `tfds_name`.
        data_dir: Folder of prepared data sets.

    Returns:
        The `tfds.core.DatasetBuilder`, ready for `as_dataset`.

    Raises:
        DatasetUnavailableError: If the download fails.
    """
    import tensorflow_datasets as tfds  # Slow to import.

    builder = tfds.builder(card.tfds_name, data_dir=data_dir)
    if not builder.is_prepared():
        _download(builder, card, data_dir)
    return builder


def _download(builder, card, data_dir):
    """Downloads and prepares a data set."""
    try:
        # TensorFlow Datasets retries each server ten times over minutes, without a
        # timeout, so a missing network is detected here.
        requests.head(card.download_url, timeout=_PROBE_SECONDS).close()
        _logger.info("Downloading %s to %s", card.name, data_dir)
        builder.download_and_prepare()
    except Exception as error:
        # Whatever the cause, the user has the same options.
        raise DatasetUnavailableError(
            f"The data set {card.name!r} is not prepared in "
            f"{data_dir / card.tfds_name}, and could not be downloaded "
            f"({card.download_url}: {type(error).__name__}: {error}). Prepare it on a "
            "machine with network access and copy the folder, or set `TFDS_DATA_DIR` "
            "to the folder that contains it. Data sets that need no download: "
            f"{_EMBEDDED[card.content]}."
        ) from error
