"""Finds the version of a model in a directory."""

from pathlib import Path


def is_saved_model(directory: Path) -> bool:
    """Tells whether a directory itself holds a SavedModel's graph."""
    return any(
        (directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")
    )


def newest_version(directory: Path) -> Path:
    """Finds the version that TF Serving would serve.

    Args:
        directory: A version directory (`saved_models/mnist/3`) or the base
            directory of a model (`saved_models/mnist`) with numbered versions.

    Returns:
        The directory with the highest number, or `directory` itself if it holds
        a SavedModel or no versions.
    """
    if is_saved_model(directory) or not directory.is_dir():
        return directory
    # TF Serving reads names as numbers and ignores others (`.tmp-7`, `old`).
    versions = [
        path for path in directory.iterdir() if path.is_dir() and path.name.isdecimal()
    ]
    return max(versions, key=lambda path: int(path.name), default=directory)
