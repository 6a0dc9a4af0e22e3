"""Predicts files and texts with an export, read directly from its directory."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from modelyard.serving.description import (
    DESCRIPTION_FILE,
    ExportDescription,
    read_description,
)
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.native.tensors import STRING, Signature
from modelyard.serving.predict import classes, codes, image, text, value
from modelyard.serving.predict.answer import Answer
from modelyard.serving.predict.inputs import read_array, to_path, to_text
from modelyard.serving.versions import is_saved_model, newest_version

_BATCH_SIZE = 32
_PICTURE_BATCH_SIZE = 1  # Of answers that are images: those may have any size.


class _Kind(NamedTuple):
    """How answers of one kind are read, and the class of the answers."""

    read: Callable[..., Sequence[Answer]]
    answer: Callable[..., Answer]


_KINDS = {
    "classes": _Kind(classes.read, classes.ClassAnswer),
    "value": _Kind(value.read, value.ValueAnswer),
    "image": _Kind(image.read, image.ImageAnswer),
    "text": _Kind(text.read, text.TextAnswer),
    "codes": _Kind(codes.read, codes.CodesAnswer),
}
SHOWN_KINDS = tuple(_KINDS)


class Predictor:
    """An export in memory, ready to predict; use it in a `with` statement.

    Attributes:
        kind: Kind of its answers, one of `SHOWN_KINDS`.
        takes_texts: Whether its inputs are texts, not files.
    """

    def __init__(
        self, model: NativeModel, kind: str, description: ExportDescription | None
    ):
        """Takes over a loaded model."""
        self.kind = kind
        self._batch_size = _PICTURE_BATCH_SIZE if kind == "image" else _BATCH_SIZE
        self._model = model
        self._read = _reader(kind, description)
        # What is neither an encoded image nor a text goes to this signature.
        self._plain = "serving_default"
        if kind == "codes" and "encode" in model.signatures:
            self._plain = "encode"
        if description is None:
            signature = model.signatures.get(self._plain)
            self.takes_texts = signature is not None and _takes_strings(signature)
        else:
            self.takes_texts = description.inputs == "texts"

    def __enter__(self) -> Self:
        """Returns the predictor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the model."""
        self._model.close()

    def predict(self, inputs: Sequence[str | bytes | Path]) -> list[Answer]:
        """Predicts texts or files; a bad one does not affect the others.

        Args:
            inputs: Texts (`bytes` in UTF-8) if `takes_texts`; they go to the
                signature `serving_default`. Otherwise paths of files. `.npy`
                arrays go to `serving_default`: a single example, or a batch with
                one answer for each row. All other files are encoded images and
                go to `serve_bytes`. For answers of kind `codes`, `encode` takes
                the place of `serving_default` if the export has it.

        Returns:
            Answers in the order of `inputs`; those of bad inputs hold `error`.
        """
        if self.takes_texts:
            return self._predict_texts([to_text(item) for item in inputs])
        return self._predict_files([to_path(item) for item in inputs])

    def _predict_texts(self, texts: list[bytes]) -> list[Answer]:
        """Predicts texts in batches of similar length."""
        names = [item.decode(errors="replace") for item in texts]
        signature = self._model.signatures.get(self._plain)
        if signature is None or not _takes_strings(signature):
            error = f"This export has no signature `{self._plain}` for texts"
            if signature is not None:
                error += f"; it takes {_describe_inputs(signature)}"
            return [self._fail(name, f"{error}.") for name in names]
        answers: dict[int, Answer] = {}
        # A batch takes as long as its longest text.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            found = self._predict_strings(
                self._plain, [texts[i] for i in batch], [names[i] for i in batch]
            )
            answers.update(zip(batch, found, strict=True))
        return [answers[index] for index in range(len(texts))]

    def _predict_files(self, paths: list[Path]) -> list[Answer]:
        """Predicts image files in batches, and arrays one by one."""
        images = [index for index, path in enumerate(paths) if path.suffix != ".npy"]
        found = self._predict_images([paths[index] for index in images])
        answers = dict(zip(images, found, strict=True))
        return [
            answer
            for index, path in enumerate(paths)
            for answer in (
                [answers[index]] if index in answers else self._predict_array(path)
            )
        ]

    def _predict_images(self, paths: list[Path]) -> list[Answer]:
        """Predicts encoded image files."""
        if "serve_bytes" in self._model.signatures:
            return [
                answer
                for start in range(0, len(paths), self._batch_size)
                for answer in self._predict_strings(
                    "serve_bytes",
                    paths[start : start + self._batch_size],
                    [str(path) for path in paths[start : start + self._batch_size]],
                )
            ]
        error = "this export has no signature `serve_bytes` for image files"
        if self._plain in self._model.signatures:
            takes = _describe_inputs(self._model.signatures[self._plain])
            error += f"; it takes .npy arrays of {takes}"
        return [self._fail(str(path), f"{path}: {error}.") for path in paths]

    def _predict_strings(
        self, name: str, items: Sequence[bytes | Path], labels: list[str]
    ) -> Sequence[Answer]:
        """Predicts texts or image files as one batch, or one by one if it fails."""
        rows = np.empty(len(items), np.object_)
        try:
            rows[:] = [
                item.read_bytes() if isinstance(item, Path) else item for item in items
            ]
            return self._run(name, rows, labels)
        except (OSError, NativeError, ValueError) as error:
            if len(items) == 1:
                place = f"{labels[0]}: " if isinstance(items[0], Path) else ""
                return [self._fail(labels[0], f"{place}{_explain(error)}")]
        return [
            answer
            for item, label in zip(items, labels, strict=True)
            for answer in self._predict_strings(name, [item], [label])
        ]

    def _predict_array(self, path: Path) -> list[Answer]:
        """Predicts the rows of a `.npy` file."""
        signature = self._model.signatures.get(self._plain)
        try:
            if signature is None or len(signature.inputs) != 1:
                raise ValueError(
                    f"this export has no signature `{self._plain}` for a single array."
                )
            (spec,) = signature.inputs.values()
            array = read_array(path, spec)
            labels = [f"{path}[{row}]" for row in range(len(array))]
            return [
                answer
                for start in range(0, len(array), self._batch_size)
                for answer in self._run(
                    self._plain,
                    array[start : start + self._batch_size],
                    labels[start : start + self._batch_size],
                )
            ]
        except (OSError, EOFError, NativeError, ValueError) as error:
            return [self._fail(str(path), f"{path}: {_explain(error)}")]

    def _run(self, name: str, rows: np.ndarray, labels: list[str]) -> Sequence[Answer]:
        """Runs one batch and reads the answers."""
        signature = self._model.signatures[name]
        outputs = self._model.run(name, {next(iter(signature.inputs)): rows})
        return self._read(name, signature, outputs, labels)

    def _fail(self, label: str, error: str) -> Answer:
        """Makes the answer for an input that failed."""
        return _KINDS[self.kind].answer(label, error=error)


def load_predictor(export_dir: str | Path, kind: str | None = None) -> Predictor:
    """Loads an export for prediction, without importing TensorFlow's Python.

    Args:
        export_dir: A version directory, or the base directory of a model, whose
            newest version is then loaded.
        kind: Kind of the answers, one of `SHOWN_KINDS`. Needed for a SavedModel
            from another program, which does not record it.

    Returns:
        The predictor.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        ValueError: If the kind is unknown, cannot be shown or contradicts the
            record, or if `assets.extra/export.json` is damaged.
        NativeError: If it cannot be loaded; `modelyard check` explains why.
    """
    if not Path(export_dir).exists():
        raise FileNotFoundError(
            f"`export_dir` must exist. Received: export_dir={export_dir}"
        )
    version = newest_version(Path(export_dir))
    if not is_saved_model(version):
        raise FileNotFoundError(
            "`export_dir` must hold saved_model.pb or numbered versions. "
            f"Received: export_dir={export_dir}"
        )
    if kind is not None and kind not in SHOWN_KINDS:
        raise ValueError(
            f"`kind` must be one of {', '.join(SHOWN_KINDS)}. Received: kind={kind!r}"
        )
    description = read_description(version)
    if description is not None:
        kind = _recorded_kind(version, description, kind)
    elif kind is None:
        raise ValueError(
            f"{version} does not record what its outputs mean: it has no "
            f"{DESCRIPTION_FILE}. Pass `kind` (`--kind classes`), one of "
            f"{', '.join(SHOWN_KINDS)}. Received: kind=None"
        )
    return Predictor(NativeModel(version), kind, description)


def _recorded_kind(
    version: Path, description: ExportDescription, kind: str | None
) -> str:
    """Returns the kind that an export records, if it can be shown."""
    recorded = description.kind
    if kind not in (None, recorded):
        raise ValueError(
            f"`kind` must be left out or `{recorded}`, the kind that {version} "
            f"records. Received: kind={kind!r}"
        )
    if recorded not in SHOWN_KINDS:
        raise ValueError(
            f"{version} gives answers of kind `{recorded}`, which this version of "
            f"modelyard cannot show. It shows {', '.join(SHOWN_KINDS)}."
        )
    return recorded


def _reader(
    kind: str, description: ExportDescription | None
) -> Callable[..., Sequence[Answer]]:
    """Returns the function that reads answers, with what the export says of them."""
    read = _KINDS[kind].read
    if description is not None and kind == "classes":
        return functools.partial(read, class_names=description.class_names)
    if description is not None and kind == "value":
        return functools.partial(read, unit=description.unit)
    return read


def _takes_strings(signature: Signature) -> bool:
    """Tells whether a signature takes one input, strings `[n]`."""
    specs = list(signature.inputs.values())
    return len(specs) == 1 and specs[0].dtype == STRING and specs[0].shape == (None,)


def _describe_inputs(signature: Signature) -> str:
    """Writes the inputs of a signature for people."""
    return ", ".join(f"`{name}`: {spec}" for name, spec in signature.inputs.items())


def _explain(error: Exception) -> str:
    """Writes an error for people, without the runtime's list of graph nodes."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).split("\n\t")[0]
    # An assertion of ours in the graph; what it compared may follow.
    return re.sub(r"assertion failed: \[(.*?)\].*", r"\1", text, flags=re.DOTALL)
