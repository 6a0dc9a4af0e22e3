"""What the commands read from and print to a terminal. Loads no TensorFlow."""

import contextlib
import dataclasses
import importlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)
_SHOWN = 100  # Characters of a text beside its answer.


def read_lines(path: Path) -> list[bytes]:
    """The texts of a file, one per line, without blank lines."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return [line for line in content.splitlines() if line.strip()]


def in_one_line(answer: Any, *, is_text: bool) -> str:
    """An answer as a line; of a long text only the beginning is repeated."""
    from modelyard.data.texts.excerpts import shorten

    if is_text:
        answer = dataclasses.replace(answer, input=shorten(answer.input, _SHOWN))
    return answer.describe()


def import_tensorflow() -> None:
    """Imports TensorFlow without its chatter."""
    with without_chatter():
        importlib.import_module("tensorflow")
    # TensorFlow warns about retracing if a run predicts with several models.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Drops what TensorFlow's libraries print while they load.

    They do so before any log level is read. Errors are still raised.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def print_check(result: Any) -> None:
    """Prints the rules of a check, and how to fix those that are broken."""
    OUT.print(f"{result.directory} {result.note}\n", markup=False)
    for rule in result.rules:
        if rule.detail.startswith("Not checked"):  # Follows from one above.
            continue
        mark = {True: "[green]ok[/]    ", False: "[bold red]NOT OK[/]"}.get(
            rule.ok, "-     "
        )
        if rule.ok is False and rule.level == "advice":
            mark = "[yellow]advice[/]"
        OUT.print(f"{mark}  {rule.rule}: {escape(rule.detail)}")
        if rule.ok is False:
            OUT.print(f"        why: {escape(rule.why)}")
            OUT.print(f"        fix: {escape(rule.fix)}")
    verdict = "[green]ready to serve[/]" if result.ok else "[bold red]not ready[/]"
    OUT.print(f"\n{verdict}")


def number(value: Any) -> str:
    """A metric as text."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return " to ".join(number(item) for item in value)
    return "" if value is None else str(value)


def print_json(content: Any) -> None:
    """Prints JSON for other programs: no colours, no wrapping."""
    sys.stdout.write(json.dumps(content, indent=2, default=str) + "\n")


def print_terms(card: Any) -> None:
    """Prints what may be done with a data set, and what to cite."""
    OUT.print(f"licence: {card.licence}; {card.permitted_use}", markup=False)
    OUT.print(f"cite: {card.citation}\n", markup=False)
