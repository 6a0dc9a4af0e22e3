"""Predicts files and texts with an export, straight from its directory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.native.tensors import DTYPES, STRING, Signature, TensorSpec
from modelyard.serving.predict.classes import Prediction, rank_classes
from modelyard.serving.versions import is_saved_model, newest_version

_BATCH_SIZE = 32


class Predictor:
    """An export in memory, to predict with; use it in a `with` statement."""

    def __init__(self, model: NativeModel):
        """Takes over a loaded model."""
        self._model = model

    def __enter__(self) -> Self:
        """Returns the predictor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the model."""
        self._model.close()

    def predict_files(self, paths: Sequence[Path]) -> list[Prediction]:
        """Predicts files; one that fails does not keep the others from answers.

        Args:
            paths: `.npy` arrays go to `serving_default`: one example, or a batch
                with one prediction per row. All other files are encoded images
                and go to `serve_bytes`, which takes strings `[n]` and returns
                float `scores` `[n, k]` and string `classes` `[n, k]`.

        Returns:
            Predictions in the order of `paths`; those of bad files hold `error`.
        """
        images = [path for path in paths if path.suffix != ".npy"]
        answers = dict(zip(images, self._predict_images(images), strict=True))
        predictions = []
        for path in paths:
            if path in answers:
                predictions.append(answers[path])
            else:
                predictions += self._predict_array(path)
        return predictions

    @property
    def takes_texts(self) -> bool:
        """Whether `serving_default` takes one input, strings `[n]`."""
        signature = self._model.signatures.get("serving_default")
        return signature is not None and _takes_strings(signature)

    def predict_texts(self, texts: Sequence[str | bytes]) -> list[Prediction]:
        """Predicts texts; one that fails does not keep the others from answers.

        Args:
            texts: Go to `serving_default`, which takes strings `[n]` and returns
                float `scores` `[n, k]` and string `classes` `[n, k]`.

        Returns:
            Predictions in the order of `texts`; those of bad texts hold `error`.
        """
        strings = [_to_bytes(text) for text in texts]
        names = [string.decode(errors="replace") for string in strings]
        signature = self._model.signatures.get("serving_default")
        if signature is None or not _takes_strings(signature):
            error = "This export takes no texts"
            if signature is not None:
                error += f"; it takes {_describe_inputs(signature)}"
            return [Prediction(name, error=f"{error}.") for name in names]
        predictions: dict[int, Prediction] = {}
        # Texts of about one length together: a batch is as slow as its longest.
        order = sorted(range(len(strings)), key=lambda index: len(strings[index]))
        for start in range(0, len(order), _BATCH_SIZE):
            batch = order[start : start + _BATCH_SIZE]
            answers = self._predict_strings(
                signature, [strings[i] for i in batch], [names[i] for i in batch]
            )
            predictions.update(zip(batch, answers, strict=True))
        return [predictions[index] for index in range(len(strings))]

    def _predict_strings(
        self, signature: Signature, strings: list[bytes], names: list[str]
    ) -> list[Prediction]:
        """Predicts a few texts together, or one by one if one is bad."""
        rows = np.empty(len(strings), np.object_)
        rows[:] = strings
        try:
            return self._run("serving_default", signature, rows, names)
        except (NativeError, ValueError) as error:
            if len(strings) == 1:
                return [Prediction(names[0], error=_explain(error))]
        return [
            prediction
            for string, name in zip(strings, names, strict=True)
            for prediction in self._predict_strings(signature, [string], [name])
        ]

    def _predict_images(self, paths: list[Path]) -> Iterator[Prediction]:
        """Yields a prediction for each image file."""
        signature = self._model.signatures.get("serve_bytes")
        if signature is None:
            takes = self._model.signatures.get("serving_default")
            for path in paths:
                error = f"{path}: this export has no signature `serve_bytes` for files"
                if takes is not None:
                    error += f"; it takes .npy arrays of {_describe_inputs(takes)}"
                yield Prediction(str(path), error=f"{error}.")
            return
        for start in range(0, len(paths), _BATCH_SIZE):
            batch = paths[start : start + _BATCH_SIZE]
            yield from self._predict_batch(signature, batch)

    def _predict_batch(
        self, signature: Signature, paths: list[Path]
    ) -> list[Prediction]:
        """Predicts a few image files together, or one by one if one is bad."""
        contents = np.empty(len(paths), np.object_)
        try:
            contents[:] = [path.read_bytes() for path in paths]
            return self._run("serve_bytes", signature, contents, list(map(str, paths)))
        except (OSError, NativeError, ValueError) as error:
            if len(paths) == 1:
                text = f"{paths[0]}: {_explain(error)}"
                return [Prediction(str(paths[0]), error=text)]
        return [p for path in paths for p in self._predict_batch(signature, [path])]

    def _predict_array(self, path: Path) -> list[Prediction]:
        """Predicts the rows of a `.npy` file."""
        signature = self._model.signatures.get("serving_default")
        try:
            if signature is None or len(signature.inputs) != 1:
                raise ValueError("this export has no `serving_default` of one array.")
            (spec,) = signature.inputs.values()
            with path.open("rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            array = _fit(array, spec)
            names = [f"{path}[{row}]" for row in range(len(array))]
            return [
                prediction
                for start in range(0, len(array), _BATCH_SIZE)
                for prediction in self._run(
                    "serving_default",
                    signature,
                    array[start : start + _BATCH_SIZE],
                    names[start : start + _BATCH_SIZE],
                )
            ]
        except (OSError, EOFError, NativeError, ValueError) as error:
            return [Prediction(str(path), error=f"{path}: {_explain(error)}")]

    def _run(
        self, name: str, signature: Signature, rows: np.ndarray, labels: list[str]
    ) -> list[Prediction]:
        """Runs one batch and ranks the classes of each row."""
        outputs = self._model.run(name, {next(iter(signature.inputs)): rows})
        return rank_classes(name, signature, outputs, labels)


def load_predictor(export_dir: str | Path) -> Predictor:
    """Loads an export for predicting, without importing TensorFlow's Python.

    Args:
        export_dir: A version directory, or the base directory of a model, whose
            newest version is then loaded.

    Returns:
        The predictor.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        NativeError: If it cannot be loaded; `modelyard check` says more.
    """
    version = newest_version(Path(export_dir))
    if not is_saved_model(version):
        raise FileNotFoundError(
            "`export_dir` must hold saved_model.pb or numbered versions. "
            f"Received: export_dir={export_dir}"
        )
    return Predictor(NativeModel(version))


def predict_files(export_dir: str | Path, paths: Sequence[Path]) -> list[Prediction]:
    """Loads an export and predicts files; see `Predictor.predict_files`.

    Args:
        export_dir: A version directory or the base directory of a model.
        paths: Image files or `.npy` arrays.

    Returns:
        Predictions in the order of `paths`; those of bad files hold `error`.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        NativeError: If it cannot be loaded; `modelyard check` says more.
    """
    with load_predictor(export_dir) as predictor:
        return predictor.predict_files(paths)


def predict_texts(
    export_dir: str | Path, texts: Sequence[str | bytes]
) -> list[Prediction]:
    """Loads an export and predicts texts; see `Predictor.predict_texts`.

    Args:
        export_dir: A version directory or the base directory of a model.
        texts: Texts, or their bytes in UTF-8.

    Returns:
        Predictions in the order of `texts`; those of bad texts hold `error`.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        NativeError: If it cannot be loaded; `modelyard check` says more.
    """
    with load_predictor(export_dir) as predictor:
        return predictor.predict_texts(texts)


def _takes_strings(signature: Signature) -> bool:
    """Tells whether a signature takes one input, strings `[n]`."""
    specs = list(signature.inputs.values())
    return len(specs) == 1 and specs[0].dtype == STRING and specs[0].shape == (None,)


def _to_bytes(text: str | bytes) -> bytes:
    """Encodes a text as UTF-8."""
    if isinstance(text, bytes):
        return text
    try:
        # Bytes of a command line that are not UTF-8 stay what they were.
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="replace")


def _fit(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Gives an array the dtype and the rank of an input."""
    if spec.shape is not None and array.ndim == len(spec.shape) - 1:
        array = array[np.newaxis]
    dtype = DTYPES[spec.dtype][1]
    fits = spec.shape is None or (
        array.ndim == len(spec.shape)
        and all(
            want in (None, got)
            for want, got in zip(spec.shape, array.shape, strict=True)
        )
    )
    fits = fits and np.can_cast(array.dtype, dtype, "same_kind")
    if not fits or not array.size:
        raise ValueError(
            f"the array must be {spec}. Received: {array.dtype} {list(array.shape)}"
        )
    return array.astype(dtype)


def _describe_inputs(signature: Signature) -> str:
    """Writes the inputs of a signature for people."""
    return ", ".join(f"`{name}`: {spec}" for name, spec in signature.inputs.items())


def _explain(error: Exception) -> str:
    """Writes an error for people, without the runtime's list of graph nodes."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n\t")[0]
