"""Reads what a user passes to an export: texts, paths and arrays."""

import os
from pathlib import Path

import numpy as np

from modelyard.serving.native.tensors import DTYPES, TensorSpec


def to_text(item: str | bytes | Path) -> bytes:
    """Encodes a text.

    Args:
        item: The text, or its bytes.

    Returns:
        Bytes, in UTF-8 unless `item` holds others.
    """
    if isinstance(item, bytes):
        return item
    try:
        # Bytes of a command line that are not UTF-8 stay as they are.
        return str(item).encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return str(item).encode(errors="replace")


def to_path(item: str | bytes | Path) -> Path:
    """Makes the path of a file, given in any form."""
    return Path(os.fsdecode(item))


def read_array(path: Path, spec: TensorSpec) -> np.ndarray:
    """Reads a `.npy` file as a batch for one input of a signature.

    Args:
        path: The file: a batch, or a single example without the first dimension.
        spec: Dtype and shape of the input.

    Returns:
        The batch, with the dtype and the rank of `spec`.

    Raises:
        OSError: If the file cannot be read.
        EOFError: If it is cut off.
        ValueError: If it is damaged, pickled or empty, or does not fit `spec`.
    """
    with path.open("rb") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if spec.shape is not None and array.ndim == len(spec.shape) - 1:
        array = array[np.newaxis]
    fits = spec.shape is None or (
        array.ndim == len(spec.shape)
        and all(
            want in (None, got)
            for want, got in zip(spec.shape, array.shape, strict=True)
        )
    )
    dtype = DTYPES[spec.dtype][1] if spec.dtype in DTYPES else None
    if (
        dtype is None
        or not fits
        or not array.size
        or not np.can_cast(array.dtype, dtype, "same_kind")
    ):
        raise ValueError(
            f"the array must be {spec}. Received: {array.dtype} {list(array.shape)}"
        )
    return array.astype(dtype)
