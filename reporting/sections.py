"""The parts of a report page. They know tables, drawings and pictures, but no task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup


@dataclasses.dataclass(frozen=True)
class Card:
    """A figure in a box.

    Attributes:
        label: What it is.
        value: The figure, formatted.
        note: A few words below it.
    """

    label: str
    value: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than text.

    Attributes:
        text: What it shows.
        url: Address that it links to, `http://` or `https://`; empty for no link.
        style: `"strong"`, `"higher"` (green), `"lower"` (red) or empty.
        note: A remark after the text.

    Raises:
        ValueError: If `url` is an address of another kind.
    """

    text: str
    url: str = ""
    style: Literal["", "strong", "higher", "lower"] = ""
    note: str = ""

    def __post_init__(self):
        """Refuses addresses that would run code in the page."""
        # Escaping alone would let a `javascript:` address through.
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(
                "`url` must begin with http:// or https://. "
                f"Received: url={self.url!r} of {self.text!r}"
            )


@dataclasses.dataclass(frozen=True)
class Picture:
    """One or more pictures side by side, with a caption.

    Attributes:
        uris: `data:` URIs by what they show, such as `{"test picture": "data:..."}`.
        caption: Words below.
        note: A figure after the caption, in smaller type.
        is_wrong: Whether it gets a red frame.
        is_small: Whether pixels are enlarged as squares.
    """

    uris: Mapping[str, str]
    caption: str = ""
    note: str = ""
    is_wrong: bool = False
    is_small: bool = False


@dataclasses.dataclass(frozen=True)
class ColouredText:
    """A text whose words are coloured by their influence.

    Attributes:
        words: Each word with its share, in [-1, 1], of the largest influence: positive
            shares are blue, negative ones red.
        caption: Words above.
        note: A figure after the caption, in smaller type.
    """

    words: Sequence[tuple[str, float]]
    caption: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A square table of counts with coloured cells.

    Attributes:
        names: Names of the rows and columns.
        cells: `(count, CSS colour)` by row and column.
    """

    names: Sequence[str]
    cells: Sequence[Sequence[tuple[int, str]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under its own heading. Empty fields show nothing.

    Attributes:
        title: The heading.
        note: A sentence or two below it.
        matrix: A coloured table of counts.
        header: Names of the table's columns; the first column names the rows.
        rows: Cells of the table.
        fold: Label of a fold that hides the table until it is opened.
        facts: Names and values, in two columns.
        figures: Drawings by title, side by side.
        figure: A single drawing.
        pictures: Pictures in a grid.
        texts: Texts with coloured words.
        commands: Shell commands by title.
        remark: A sentence or two at the end.
        aside: A section to the right of this one's content.
        is_narrow: Whether the next narrow section stands beside this one.
    """

    title: str
    note: str = ""
    matrix: Matrix | None = None
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str | Cell]] = ()
    fold: str = ""
    facts: Mapping[str, str | Cell] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, Markup] = dataclasses.field(default_factory=dict)
    figure: Markup | None = None
    pictures: Sequence[Picture] = ()
    texts: Sequence[ColouredText] = ()
    commands: Mapping[str, str] = dataclasses.field(default_factory=dict)
    remark: str = ""
    aside: "Section | None" = None
    is_narrow: bool = False
