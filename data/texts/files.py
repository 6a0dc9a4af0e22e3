"""Loads the user's own labelled texts from CSV, TSV, JSON Lines or Parquet."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelyard.data.cards.card import DatasetCard
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.names import suggest
from modelyard.data.texts.examples import TextExamples

_LISTED = 10
# A longer cell is most likely the result of an unclosed quotation mark.
_MOST_CHARACTERS = 2_000_000
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def load_text_file(
    path: Path, *, text: str, label: str
) -> tuple[DatasetCard, TextExamples]:
    """Loads a table of texts and labels.

    Labels are names or numbers. Classes are sorted by name, or by value if all labels
    are numbers.

    Args:
        path: A UTF-8 file: .csv or .tsv with a header, .jsonl with one object per
            line, or .parquet.
        text: Column of the texts.
        label: Column of the labels.

    Returns:
        A card, and the examples in row order.

    Raises:
        DatasetError: If the file cannot be read, lacks a column, is not valid UTF-8,
            has an empty or overlong text, a missing label, or only one class. Names
            the rows, counted from 1 without the header.
        DatasetUnavailableError: If the package that reads Parquet is not installed.
    """
    if not path.is_file():
        raise DatasetError(f"The file does not exist. Received: path={path}")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DatasetError(
            f"The file name must end in one of {', '.join(_READERS)}. "
            f"Received: path={path}"
        )
    columns = read(path)
    texts = _as_texts(_find_column(columns, text, "text", path), text)
    names = _as_names(_find_column(columns, label, "label", path), label)
    if not texts:
        raise DatasetError(f"The file must have rows. Received: no rows in {path}")
    class_names = _sort_names(set(names))
    if len(class_names) < 2:
        raise DatasetError(
            f"The column {label!r} must have at least 2 classes. Received: only "
            f"{class_names[0]!r}, in {len(names)} row(s)"
        )
    position = {name: index for index, name in enumerate(class_names)}
    examples = TextExamples(
        np.array(texts, dtype=object),
        np.array([position[name] for name in names], dtype=np.int64),
    )
    card = DatasetCard(
        name="csv",
        title=f"Texts in the file {path.name}",
        source="file",
        example_shape=(),
        class_names=class_names,
        splits={"all": len(examples)},
        licence="Not known; the user's own data",
        permitted_use="As permitted by the owner of the texts",
        url="",
        citation="",
    )
    return card, examples


def _read_csv(path: Path) -> dict[str, list[Any]]:
    """Reads every column as text."""
    _check_utf8(path)
    try:
        table = pd.read_csv(
            path,
            sep="\t" if path.suffix.lower() == ".tsv" else ",",
            dtype=str,
            keep_default_na=False,  # A review may consist of the word "null".
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DatasetError(f"{path} is not a valid table: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise DatasetError(
            "Every row must have as many cells as the header. Received: longer rows "
            f"in {path}. Quote texts that contain commas."
        )
    return {str(name): table[name].tolist() for name in table.columns}


def _read_json_lines(path: Path) -> dict[str, list[Any]]:
    """Reads one JSON object per line."""
    _check_utf8(path)
    rows, wrong = [], []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                wrong.append(number)
            else:
                if not isinstance(rows[-1], dict):
                    wrong.append(number)
    if wrong:
        raise DatasetError(
            f"Every line must be a JSON object. Received: {_list('line', wrong)} of "
            f"{path}"
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    """Reads every column; texts that are not UTF-8 stay bytes."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetUnavailableError(
            f"Reading {path} requires the package pyarrow: pip install pyarrow. "
            "Alternatively, save the table as .csv or .jsonl."
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path} is not a Parquet file: {error}") from error
    columns = {}
    for name in table.column_names:
        try:
            columns[name] = table[name].to_pylist()
        except UnicodeDecodeError:
            columns[name] = table[name].cast(pyarrow.binary()).to_pylist()
    return columns


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}


def _check_utf8(path):
    """Raises with the lines that are not UTF-8."""
    with path.open("rb") as file:
        broken = [number for number, line in enumerate(file, 1) if _is_broken(line)]
    if broken:
        raise DatasetError(
            "The file must be in UTF-8. Convert it, or fix the invalid lines. "
            f"Received: {_list('line', broken)} of {path}"
        )


def _is_broken(content):
    """Checks whether bytes are not valid UTF-8, or a text cannot be encoded in it."""
    try:
        content.decode() if isinstance(content, bytes) else content.encode()
    except UnicodeError:
        return True
    return False


def _find_column(columns, name, option, path):
    """Returns a column, or raises with suggestions."""
    if name in columns:
        return columns[name]
    raise DatasetError(
        f"`{option}` must be a column of {path}.{suggest(name, columns, most=2)} "
        f"Columns: {', '.join(map(repr, list(columns)[:50]))}. "
        f"Received: {option}={name}"
    )


def _as_texts(cells, column):
    """Checks a column of texts."""
    cells = [_decode(cell) for cell in cells]
    _refuse(cells, column, _is_missing, "must not be empty")
    _refuse(cells, column, lambda c: not isinstance(c, str | bytes), "must be texts")
    _refuse(cells, column, _is_broken, "must be in UTF-8")
    _refuse(
        cells,
        column,
        lambda c: len(c) > _MOST_CHARACTERS,
        f"must have at most {_MOST_CHARACTERS:,} characters; check for an unclosed "
        "quotation mark",
    )
    return cells


def _as_names(cells, column):
    """Converts a column of names or numbers to class names."""
    cells = [_decode(cell) for cell in cells]
    _refuse(cells, column, _is_missing, "must not be missing")
    _refuse(
        cells,
        column,
        lambda c: not isinstance(c, str | int | float),
        "must be names or numbers",
    )
    return [
        str(
            int(cell) if isinstance(cell, float) and cell.is_integer() else cell
        ).strip()
        for cell in cells
    ]


def _refuse(cells, column, is_wrong, rule):
    """Raises with the rows that violate a rule."""
    rows = [number for number, cell in enumerate(cells, 1) if is_wrong(cell)]
    if rows:
        raise DatasetError(
            f"Cells of the column {column!r} {rule}. Received: {_list('row', rows)}"
        )


def _is_missing(cell):
    """Checks whether a cell is empty."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _decode(cell):
    """Decodes bytes if they are valid UTF-8."""
    return cell.decode() if isinstance(cell, bytes) and not _is_broken(cell) else cell


def _sort_names(names: Iterable[str]) -> tuple[str, ...]:
    """Sorts classes: by value if all are numbers, else by name."""
    ordered = sorted(names)
    if all(_NUMBER.fullmatch(name) for name in ordered):
        ordered.sort(key=float)
    return tuple(ordered)


def _list(unit, numbers):
    """Joins the first row or line numbers and counts the rest."""
    more = f" and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else ""
    plural = "s" if len(numbers) > 1 else ""
    return f"{unit}{plural} {', '.join(map(str, numbers[:_LISTED]))}{more}"
