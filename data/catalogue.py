"""The catalogue of data sets, and the spec strings that name them.

Nothing here imports TensorFlow: the command line lists data sets at once.
"""

import dataclasses
import difflib
import os
from pathlib import Path
from urllib.parse import parse_qsl

from modelyard.data.dataset_card import DatasetCard
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.image_cards import IMAGE_CARDS

__all__ = [
    "CATALOGUE",
    "DatasetCard",
    "DatasetError",
    "DatasetSpec",
    "DatasetUnavailableError",
    "find_card",
    "is_present",
    "parse_spec",
    "tfds_data_dir",
]

CATALOGUE: tuple[DatasetCard, ...] = IMAGE_CARDS

FOLDS = 5
_FOLDER_PREFIX = "folder:"


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A parsed spec string.

    Args:
        name: Name in the catalogue, or "folder".
        path: The folder, for "folder" only.
        fold: Which fifth is the test split, in [0, 5), for data without an official
            one; `None` if not given.
        size: Height and width to resize to, for "folder" only.
        channels: 1 (grey) or 3 (colour), for "folder" only.
    """

    name: str
    path: Path | None = None
    fold: int | None = None
    size: int | None = None
    channels: int | None = None


@dataclasses.dataclass(frozen=True)
class _Option:
    """Allowed values of a whole-number option."""

    values: range
    rule: str


_OPTIONS = {
    "fold": _Option(range(FOLDS), f"in [0, {FOLDS})"),
    "size": _Option(range(1, 4097), "in [1, 4096]"),
    "channels": _Option(range(1, 4, 2), "1 or 3"),
}


def parse_spec(spec: str) -> DatasetSpec:
    """Parses and checks the name of a data set.

    Args:
        spec: `NAME`, `NAME?fold=2` or `folder:PATH?size=96&channels=1&fold=0`.

    Returns:
        The parts of the spec.

    Raises:
        DatasetError: If the name or an option is unknown, or a value out of range.
    """
    if spec.startswith(_FOLDER_PREFIX):
        # A path may contain a question mark, options are behind the last one.
        path, mark, query = spec.removeprefix(_FOLDER_PREFIX).rpartition("?")
        if not mark:
            path, query = query, ""
        if not path:
            raise DatasetError(
                f"`folder:` must be followed by a path. Received: spec={spec!r}"
            )
        options = _parse_options(spec, query, allowed=tuple(_OPTIONS))
        return DatasetSpec("folder", path=Path(path).expanduser(), **options)
    name, _, query = spec.partition("?")
    card = find_card(name)
    allowed = () if card.has_official_test else ("fold",)
    return DatasetSpec(name, **_parse_options(spec, query, allowed=allowed))


def find_card(name: str) -> DatasetCard:
    """Looks a data set up in the catalogue.

    Args:
        name: Its exact name.

    Returns:
        Its card.

    Raises:
        DatasetError: If there is none of that name; names the nearest ones.
    """
    cards = {card.name: card for card in CATALOGUE}
    if name in cards:
        return cards[name]
    near = difflib.get_close_matches(name, cards, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise DatasetError(
        f"Unknown data set.{hint} Known: {', '.join(cards)}, folder:PATH. "
        f"Received: {name!r}"
    )


def tfds_data_dir() -> Path:
    """Finds the folder of prepared TensorFlow Datasets.

    Returns:
        `TFDS_DATA_DIR` if that is set, else `~/tensorflow_datasets`.
    """
    given = os.environ.get("TFDS_DATA_DIR")
    return Path(given or "~/tensorflow_datasets").expanduser()


def is_present(card: DatasetCard, data_dir: Path | None = None) -> bool:
    """Tells whether a data set is on this machine.

    Args:
        card: A card of the catalogue.
        data_dir: Folder of prepared TensorFlow Datasets; `tfds_data_dir()` if `None`.

    Returns:
        Whether it can be loaded without a download.
    """
    if card.tfds_name is None:
        return True
    folder = (data_dir or tfds_data_dir()) / card.tfds_name
    return any(folder.glob("[0-9]*/dataset_info.json"))


def _parse_options(spec, query, *, allowed):
    """Reads `key=value&...` into whole numbers."""
    options: dict[str, int] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in allowed:
            known = ", ".join(f"`{name}`" for name in allowed) or "none"
            raise DatasetError(
                f"Unknown option `{key}`. Options of this data set: {known}. "
                f"Received: spec={spec!r}"
            )
        option = _OPTIONS[key]
        if not value.isdecimal() or int(value) not in option.values:
            raise DatasetError(
                f"`{key}` must be {option.rule}. Received: {key}={value}"
            )
        options[key] = int(value)
    return options
