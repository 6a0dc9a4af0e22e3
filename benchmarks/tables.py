"""Writes the tables of README.md, docs/ and benchmarks/README.md from the results.

    python benchmarks/tables.py           # rewrite them
    python benchmarks/tables.py --check   # exit with 1 if one of them is stale

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; its figures come from
the JSON files in `benchmarks/results/`, its rows from `table_rows.py`.
"""

import argparse
import functools
import json
import re
import sys
from pathlib import Path

from table_cells import CELLS, Entry, Line
from table_rows import TABLES

ROOT = Path(__file__).parent.parent
_MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrites the pages, or says which are stale."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if stale"
    )
    arguments = parser.parse_args()
    stale = find_stale_pages()
    for path, text in stale.items():
        if not arguments.check:
            path.write_text(text)
        print(f"{path} {'is stale' if arguments.check else 'rewritten'}")
    if arguments.check and stale:
        print("Run python benchmarks/tables.py")
        sys.exit(1)


def find_stale_pages(root: Path = ROOT) -> dict[Path, str]:
    """Finds the pages whose tables differ from the results.

    Args:
        root: Folder with `README.md`, `docs/` and `benchmarks/`.

    Returns:
        The text that each stale page should have.

    Raises:
        ValueError: If a page has a table of an unknown name.
    """
    pages = [
        root / "README.md",
        root / "benchmarks" / "README.md",
        *sorted((root / "docs").glob("*.md")),
    ]
    stale = {}
    for path in pages:
        before = path.read_text()
        after = _MARKED.sub(functools.partial(_fill, path, root), before)
        if after != before:
            stale[path] = after
    return stale


def make_table(name: str, root: Path = ROOT) -> str:
    """Makes a table of `TABLES` in Markdown; columns without any cell are left out."""
    table = TABLES[name]
    rows = [
        Line(
            row,
            read_entry(row.entry, root),
            read_entry(row.peer, root) if row.peer else {},
        )
        for row in table.rows
    ]
    columns = {
        heading: [CELLS[cell](row) for row in rows]
        for heading, cell in table.columns.items()
    }
    columns = {heading: cells for heading, cells in columns.items() if any(cells)}
    lines = [
        list(columns),
        ["---"] * len(columns),
        *zip(*columns.values(), strict=True),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read_entry(entry: str, root: Path = ROOT) -> Entry:
    """Reads a result: `file`, or `file/figure` where a file has several."""
    file, _, figure = entry.partition("/")
    content = json.loads((root / "benchmarks" / "results" / f"{file}.json").read_text())
    return content[figure] if figure else content


def _fill(path: Path, root: Path, found: re.Match[str]) -> str:
    """The table between two markers, and the markers."""
    begin, name, end = found.groups()
    if name not in TABLES:
        raise ValueError(
            f"{path} must name a table of {', '.join(TABLES)}. Received: {name}"
        )
    return f"{begin}\n{make_table(name, root)}\n{end}"


if __name__ == "__main__":
    main()
