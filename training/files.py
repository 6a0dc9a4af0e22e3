"""Atomic writes, and checks of the space that is left."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO


class StorageError(RuntimeError):
    """A folder cannot be written, or its disk is full."""


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Converts an `OSError` in a `with` block to a `StorageError` about `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or "
            "choose other folders with `--runs-dir` and `--saved-models-dir`."
        ) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a temporary file beside `path`, syncs it to disk and renames it.

    Args:
        path: The file. An existing one stays intact until it is replaced.
        write: Function that writes the content to an open file.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    with storage_errors(path):
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def require_space(folder: Path, needed_bytes: int) -> None:
    """Checks that `folder` is writable and has enough free space.

    Args:
        folder: The folder; created with its parents if it does not exist.
        needed_bytes: Number of bytes that will be written.

    Raises:
        StorageError: If the folder cannot be created or written, or if there is not
            enough space.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
        stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if free < needed_bytes:
        raise StorageError(
            f"{folder} needs {needed_bytes / 1e6:.0f} MB of free space and has "
            f"{free / 1e6:.0f} MB. Free some space or choose other folders with "
            "`--runs-dir` and `--saved-models-dir`."
        )
