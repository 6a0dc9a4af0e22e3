"""How the drawings of a report are made: inline SVG in the page's own colours."""

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Figures are drawn in these stand-ins for the page's own (light or dark) colours.
INK, _GRID, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404"
_PAGE_COLOURS = {
    INK: "var(--muted)",
    _GRID: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
}
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "axes.edgecolor": _GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 9,
}


def draw_svg(
    name: str, size: tuple[float, float], draw: Callable[[Figure], None]
) -> Markup:
    """Draws a figure as SVG that can share a page with others.

    Args:
        name: What it shows; unique among the figures of a page.
        size: Width and height in inches.
        draw: Draws on the figure in the colours `INK`, `FIRST` and `SECOND`. It must
            not draw text from data, which matplotlib could read as mathematics.

    Returns:
        SVG.
    """
    with mpl.rc_context({**_RC, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(
            buffer, format="svg", dpi=150, transparent=True, metadata=nothing
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # A fixed size would not shrink on a phone, numbered ids would repeat in the page,
    # and the style element would affect other figures. The page sets the font.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r' id="[^"]*_\d+"', "", text)
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
    for stand_in, colour in _PAGE_COLOURS.items():
        text = text.replace(stand_in, colour)
    return Markup(text)  # noqa: S704  Matplotlib's own output.
