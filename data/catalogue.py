"""The catalogue of data sets, and the spec strings that name them.

Nothing here imports TensorFlow, so the command line lists data sets instantly.
"""

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from modelyard.data.cards.card import Content, DatasetCard
from modelyard.data.cards.images import IMAGE_CARDS
from modelyard.data.cards.pictures import PICTURE_CARDS
from modelyard.data.cards.texts import TEXT_CARDS
from modelyard.data.errors import DatasetError
from modelyard.data.names import suggest

CATALOGUE: tuple[DatasetCard, ...] = IMAGE_CARDS + PICTURE_CARDS + TEXT_CARDS

FOLDS = 5
# The user's own data: type of content, and the options of its spec.
_OWN: dict[str, tuple[Content, tuple[str, ...]]] = {
    "folder": ("images", ("fold", "size", "channels")),
    "csv": ("texts", ("fold", "text", "label")),
}
_PIPELINES = {
    "images": "classify-images or transfer-images",
    "pictures": "denoise-images, colorize-images or enhance-images",
    "texts": "classify-text",
}


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A parsed spec string.

    Options that the spec leaves out are `None`.

    Attributes:
        name: Name in the catalogue, "folder" or "csv".
        path: The folder or file, for "folder" and "csv" only.
        fold: Which fifth of the data is the test split, in [0, 5), for data without
            an official test split.
        size: Height and width to resize to, for "folder" with classes only.
        channels: 1 (grey) or 3 (colour), for "folder" only.
        text: Column of the texts, for "csv" only.
        label: Column of the labels, for "csv" only.
    """

    name: str
    path: Path | None = None
    fold: int | None = None
    size: int | None = None
    channels: int | None = None
    text: str | None = None
    label: str | None = None

    @property
    def content(self) -> Content:
        """Type of the examples; "images" for a folder, with or without classes."""
        if self.name in _OWN:
            return _OWN[self.name][0]
        return find_card(self.name).content


@dataclasses.dataclass(frozen=True)
class _Option:
    """Allowed values of an integer option, and the rule in words."""

    values: range
    rule: str


_OPTIONS = {
    "fold": _Option(range(FOLDS), f"in [0, {FOLDS})"),
    "size": _Option(range(1, 4097), "in [1, 4096]"),
    "channels": _Option(range(1, 4, 2), "1 or 3"),
}


def parse_spec(spec: str, *, content: Content | None = None) -> DatasetSpec:
    """Parses and checks a spec string.

    Args:
        spec: `NAME`, `NAME?fold=2`, `folder:PATH?size=96&channels=1&fold=0` or
            `csv:PATH?text=COLUMN&label=COLUMN&fold=0`. In column names, `&`, `?`,
            `+` and `%` must be percent-encoded.
        content: Type of content that the caller needs; `None` accepts any. Images
            with classes serve as "pictures", too.

    Returns:
        The parsed spec.

    Raises:
        DatasetError: If the name or an option is unknown, a value is out of range, or
            the data set does not hold `content`.
    """
    own, colon, rest = spec.partition(":")
    if colon and own in _OWN:
        parsed = _parse_own(spec, own, rest)
    else:
        name, _, query = spec.partition("?")
        allowed = () if find_card(name).has_official_test else ("fold",)
        parsed = DatasetSpec(name, **_parse_options(spec, query, allowed=allowed))
    held = parsed.content
    if content in (None, held) or (held, content) == ("images", "pictures"):
        return parsed
    lacking = f"holds {held}, not {content}"
    if (held, content) == ("pictures", "images"):
        lacking = "has no classes"
    raise DatasetError(
        f"`{parsed.name}` {lacking}: use {_PIPELINES[held]}. Received: {spec!r}"
    )


def find_card(name: str) -> DatasetCard:
    """Looks up a data set in the catalogue.

    Args:
        name: Exact name of the data set.

    Returns:
        The card of the data set.

    Raises:
        DatasetError: If the name is unknown. The message suggests similar names.
    """
    cards = {card.name: card for card in CATALOGUE}
    if name in cards:
        return cards[name]
    raise DatasetError(
        f"Unknown data set.{suggest(name, cards, most=2)} Known: {', '.join(cards)}, "
        f"folder:PATH, csv:PATH. Received: {name!r}"
    )


def tfds_data_dir() -> Path:
    """Returns the folder of prepared TensorFlow Datasets.

    Returns:
        The value of `TFDS_DATA_DIR` if set, else `~/tensorflow_datasets`.
    """
    given = os.environ.get("TFDS_DATA_DIR")
    return Path(given or "~/tensorflow_datasets").expanduser()


def is_present(card: DatasetCard, data_dir: Path | None = None) -> bool:
    """Checks whether a data set can be loaded without a download.

    Args:
        card: A card of the catalogue.
        data_dir: Folder of prepared TensorFlow Datasets; `tfds_data_dir()` if `None`.

    Returns:
        Whether the data set is on this machine.
    """
    if card.package is not None:
        return importlib.util.find_spec(card.package) is not None
    data_dir = data_dir or tfds_data_dir()
    if card.files is not None:
        path = data_dir / card.files
        if path.suffix:
            return path.is_file()
        return len(list(path.glob("*.png"))) == card.splits["all"]
    if card.tfds_name is None:
        return True
    folder = data_dir / card.tfds_name
    return any(folder.glob("[0-9]*/dataset_info.json"))


def _parse_own(spec, own, rest):
    """Parses the part after `folder:` or `csv:`."""
    # A path may contain question marks; the options follow the last one.
    path, mark, query = rest.rpartition("?")
    if not mark:
        path, query = query, ""
    if not path:
        raise DatasetError(
            f"`{own}:` must be followed by a path. Received: spec={spec!r}"
        )
    options = _parse_options(spec, query, allowed=_OWN[own][1])
    return DatasetSpec(own, path=Path(path).expanduser(), **options)


def _parse_options(spec, query, *, allowed):
    """Parses `key=value&...` into column names and integers."""
    options: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in allowed:
            known = ", ".join(f"`{name}`" for name in allowed) or "none"
            raise DatasetError(
                f"Unknown option `{key}`. Options of this data set: {known}. "
                f"Received: spec={spec!r}"
            )
        options[key] = _parse_integer(key, value) if key in _OPTIONS else value
    return options


def _parse_integer(key, value):
    """Parses an integer option and checks its range."""
    option = _OPTIONS[key]
    if not value.isdecimal() or int(value) not in option.values:
        raise DatasetError(f"`{key}` must be {option.rule}. Received: {key}={value}")
    return int(value)
