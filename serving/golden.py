"""Golden requests: inputs of each signature with the answers of the trained model.

The file `assets.extra/golden.npz` of an export is a plain NumPy archive, never
pickled, with these arrays:

- `<signature>/inputs/<name>` and `<signature>/outputs/<name>`: one request to each
  signature and its answer. Strings are arrays of kind `S`. Each element has one
  byte `|` appended, because NumPy drops trailing zero bytes.
- `tolerance`: a float64 scalar, the largest absolute difference allowed between
  floats. Integers, bools and strings must be equal.
"""

import dataclasses
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

GOLDEN_FILE = "assets.extra/golden.npz"
_END = b"|"
_Arrays = Mapping[str, np.ndarray]
# The inputs of one signature and its answer, each an array by name.
GoldenRequest = tuple[_Arrays, _Arrays]


@dataclasses.dataclass(frozen=True)
class Golden:
    """The content of a golden file.

    Attributes:
        requests: `(inputs, outputs)` by signature, each an array by name.
        tolerance: Largest absolute difference allowed between floats.
    """

    requests: dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]
    tolerance: float


def write_golden(
    path: Path, requests: Mapping[str, GoldenRequest], tolerance: float
) -> None:
    """Writes the golden file of an export.

    Args:
        path: The file, `EXPORT/assets.extra/golden.npz`; its folder is created.
        requests: `(inputs, outputs)` by signature: arrays by name, with the batch
            as the first dimension, of numbers, bools or strings (`bytes`, `str`).
        tolerance: Largest absolute difference allowed between floats, 0 or more.

    Raises:
        ValueError: If `tolerance` is negative, `requests` is empty, or an array
            holds neither numbers nor strings.
    """
    if not tolerance >= 0:
        raise ValueError(
            f"`tolerance` must be 0 or more. Received: tolerance={tolerance}"
        )
    if not requests:
        raise ValueError("`requests` must not be empty. Received: requests={}")
    arrays: dict[str, np.ndarray] = {"tolerance": np.array(float(tolerance))}
    for signature, sides in requests.items():
        for side, named in zip(("inputs", "outputs"), sides, strict=True):
            for name, array in named.items():
                arrays[f"{signature}/{side}/{name}"] = _pack(np.asarray(array))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_golden(path: Path) -> Golden:
    """Reads the golden file of an export.

    Args:
        path: The file.

    Returns:
        The content of the file; strings are objects of type `bytes`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or not a golden file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        tolerance = float(arrays.pop("tolerance"))
        requests: dict = {}
        for key, array in arrays.items():
            signature, side, name = key.split("/", 2)
            sides = requests.setdefault(signature, ({}, {}))
            sides[("inputs", "outputs").index(side)][name] = _unpack(array)
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.error) as error:
        raise ValueError(
            f"`path` must be a golden file ({error}). Received: path={path}"
        ) from error
    return Golden(requests, tolerance)


def _pack(array: np.ndarray) -> np.ndarray:
    """Converts strings to an array that needs no pickle."""
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind not in "OSU":
        raise ValueError(
            "Golden arrays must hold numbers, bools or strings. "
            f"Received: array.dtype={array.dtype}"
        )
    strings = [
        (item.encode() if isinstance(item, str) else bytes(item)) + _END
        for item in array.ravel().tolist()
    ]
    return np.array(strings, np.bytes_).reshape(array.shape)


def _unpack(array: np.ndarray) -> np.ndarray:
    """Undoes `_pack`."""
    if array.dtype.kind != "S":
        return array
    strings = np.empty(array.size, np.object_)
    strings[:] = [item.removesuffix(_END) for item in array.ravel().tolist()]
    return strings.reshape(array.shape)
