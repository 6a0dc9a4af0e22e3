"""Answers of kind `image`: a PNG image for each input."""

import dataclasses
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelyard.serving.native.tensors import Signature
from modelyard.serving.predict.answer import wrong_output

_PNG_START = b"\x89PNG\r\n\x1a\n"
_MAX_STEM = 50  # Characters; a file name holds 255 bytes.


@dataclasses.dataclass(frozen=True)
class ImageAnswer:
    """The image made for one input.

    The attribute `image_bytes` holds the PNG file. It is not a field, so that
    `dataclasses.asdict` leaves it out.

    Attributes:
        input: The text or the file; a row of an array file is `x.npy[3]`.
        path: Where `save_images` has saved the image; None before.
        width: Width in pixels; None if there is an error.
        height: Height in pixels.
        error: Why there is no answer; empty if there is one.
    """

    input: str
    path: str | None = None
    width: int | None = None
    height: int | None = None
    error: str = ""
    image_bytes: dataclasses.InitVar[bytes] = b""

    def __post_init__(self, image_bytes: bytes) -> None:
        """Keeps the bytes beside the fields."""
        object.__setattr__(self, "image_bytes", image_bytes)

    def describe(self) -> str:
        """Returns `INPUT: saved to PATH (WIDTHxHEIGHT)`, or the error."""
        if self.error:
            return self.error
        place = "not saved" if self.path is None else f"saved to {self.path}"
        return f"{self.input}: {place} ({self.width}x{self.height})"


def read(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
) -> list[ImageAnswer]:
    """Reads the image of each row.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Strings `[n]` with PNG files in exactly one output whose name ends
            in `_bytes`.
        inputs: Names of the `n` inputs.

    Returns:
        An answer for each row, not yet saved.

    Raises:
        ValueError: If there is no such output or a string is not a PNG file.
    """
    found = [array for key, array in outputs.items() if key.endswith("_bytes")]
    if (
        len(found) != 1
        or found[0].dtype != np.object_
        or found[0].shape != (len(inputs),)
    ):
        rule = "PNG files as strings [n] in one output whose name ends in `_bytes`"
        raise wrong_output(name, rule, signature)
    answers = []
    for label, content in zip(inputs, found[0], strict=True):
        # After the start: 4 bytes of length, `IHDR`, width and height.
        if not content.startswith(_PNG_START) or len(content) < 24:
            raise wrong_output(name, "PNG files", signature)
        width, height = struct.unpack(">II", content[16:24])
        answers.append(
            ImageAnswer(label, width=width, height=height, image_bytes=content)
        )
    return answers


def save_images(
    answers: Sequence[ImageAnswer], output: Path | None
) -> list[ImageAnswer]:
    """Saves images as PNG files, and overwrites files from earlier predictions.

    Args:
        answers: The answers; those with an error are passed through.
        output: With a single answer, a path that ends in `.png` is the file to
            write. Otherwise it is a folder, created if needed, and the file is
            `<stem of the input>.png`, with `-<row>` after the stem for a row of
            an array and `-2`, `-3`, ... where several inputs have one name.

    Returns:
        The answers with `path` set.

    Raises:
        ValueError: If `output` is None, is a `.png` file for several answers, or a
            file to write is one of the inputs.
        OSError: If a file cannot be written.
    """
    if output is None:
        raise ValueError(
            "`output` must name a folder or a .png file to save the images in: pass "
            "`--output`. Received: output=None"
        )
    is_file = output.suffix.lower() == ".png" and not output.is_dir()
    if is_file and len(answers) > 1:
        raise ValueError(
            "`output` must be a folder if there are several images. "
            f"Received: output={output} for {len(answers)} images"
        )
    names = _file_names(answers)
    paths = [output] if is_file else [output / name for name in names]
    sources = {_identity(_source(answer.input)[0]) for answer in answers} - {None}
    for path, answer in zip(paths, answers, strict=True):
        if not answer.error and _identity(path) in sources:
            raise ValueError(
                f"`output` must not overwrite an input, here {path}. "
                f"Received: output={output}"
            )
    saved = []
    for path, answer in zip(paths, answers, strict=True):
        if answer.error:
            saved.append(answer)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer.image_bytes)  # type: ignore[attr-defined]
        saved.append(dataclasses.replace(answer, path=str(path)))
    return saved


def _file_names(answers: Sequence[ImageAnswer]) -> list[str]:
    """Makes a file name for each answer, all different."""
    names: list[str] = []
    for answer in answers:
        path, row = _source(answer.input)
        # An input may also be a text: long, empty or with line breaks.
        stem = re.sub(r"[\x00-\x1f]", " ", path.stem)[:_MAX_STEM] + row or "image"
        name, number = f"{stem}.png", 1
        while name in names:
            number += 1
            name = f"{stem}-{number}.png"
        names.append(name)
    return names


def _source(label: str) -> tuple[Path, str]:
    """Splits the name of an input into its file and, for a row, `-<row>`."""
    row = re.fullmatch(r"(.*\.npy)\[(\d+)\]", label, re.DOTALL)
    return (Path(row[1]), f"-{row[2]}") if row else (Path(label), "")


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from all others, or None if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # A text need not be a valid path.
        return None
    return status.st_dev, status.st_ino
