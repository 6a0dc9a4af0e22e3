"""The report page of a run: one HTML file that loads no others."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from modelyard.reporting.sections import Card, Cell, Section

_NUMBER = re.compile("[+\N{MINUS SIGN}-]?[0-9]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """What a page shows, from top to bottom.

    Attributes:
        title: The heading.
        subtitle: A line below it.
        headline: The most important figure.
        cards: Further figures.
        sections: Everything else.
    """

    title: str
    subtitle: str
    headline: Card
    cards: Sequence[Card]
    sections: Sequence[Section]


def render_page(page: Page) -> str:
    """Returns the page as HTML. The same page gives the same text."""
    template = resources.files("modelyard.reporting").joinpath("page.html.jinja")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": _as_cell,
        "column_styles": _column_styles,
        "breakable": _breakable,
    }
    source = environment.from_string(template.read_text(encoding="utf-8"))
    groups = itertools.groupby(page.sections, lambda section: section.is_narrow)
    return source.render(
        page=page,
        groups=[(is_narrow, list(sections)) for is_narrow, sections in groups],
    )


def _as_cell(value: Any) -> Cell:
    """Makes a cell of plain text."""
    return value if isinstance(value, Cell) else Cell(str(value))


def _column_styles(rows: Sequence[Sequence[str | Cell]]) -> list[str]:
    """The CSS class of each column: `number` if at least half of its cells are."""
    styles = []
    for column in zip(*rows, strict=True):
        texts = [text for text in (_as_cell(value).text for value in column) if text]
        numbers = sum(bool(_NUMBER.match(text)) for text in texts)
        styles.append("number" if 2 * numbers >= len(texts) else "text")
    return ["name", *styles[1:]]


def _breakable(name: str) -> Markup:
    """Lets the name of a setting continue on a new line after a dot or underscore."""
    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))
