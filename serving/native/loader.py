"""Runs a SavedModel through TensorFlow's C API, without importing TensorFlow.

`TF_LoadSessionFromSavedModel` wraps the `LoadSavedModel` that TF Serving calls, so
a model that runs here runs there. The library loads in about a third of a second;
`import tensorflow` takes several seconds.
"""

import contextlib
import ctypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np

from modelyard.serving.native.library import (
    NativeError,
    Output,
    buffer_bytes,
    checked_status,
    lend_tensor,
    library,
    to_numpy,
)
from modelyard.serving.native.protos import message_class
from modelyard.serving.native.tensors import encode_tensor, read_signatures

_CPU_DEVICES = frozenset({"CPU", "DEFAULT"})
# The C++ function `tensorflow::DisableXlaCompilation()`, which the C API lacks.
_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"


class NativeModel:
    """A SavedModel in a C++ session, as TF Serving holds it.

    Use it in a `with` statement, or call `close`. Calls of `run` may come from
    several threads.

    Attributes:
        meta_graph: The `MetaGraphDef` message of the graph.
        signatures: The signatures by name.
    """

    def __init__(self, directory: Path):
        """Loads the graph with tag `serve` and restores its variables.

        Args:
            directory: A version directory, which holds `saved_model.pb`.

        Raises:
            NativeError: If it cannot be loaded; TF Serving could not load it either.
        """
        tf = library()
        options = tf.TF_NewSessionOptions()
        meta_graph = tf.TF_NewBuffer()
        self._graph = tf.TF_NewGraph()
        self._session = None
        try:
            with checked_status() as status:
                self._session = tf.TF_LoadSessionFromSavedModel(
                    options,
                    None,
                    str(directory).encode(),
                    (ctypes.c_char_p * 1)(b"serve"),
                    1,
                    self._graph,
                    meta_graph,
                    status,
                )
            content = buffer_bytes(meta_graph)
            self.meta_graph = message_class("MetaGraphDef").FromString(content)
            self.signatures = read_signatures(self.meta_graph)
        except BaseException:
            self.close()
            raise
        finally:
            tf.TF_DeleteBuffer(meta_graph)
            tf.TF_DeleteSessionOptions(options)

    def __enter__(self) -> Self:
        """Returns the model itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the session."""
        self.close()

    def close(self) -> None:
        """Frees the session and its variables; a second call does nothing."""
        tf = library()
        if self._session is not None:
            with checked_status() as status:
                tf.TF_DeleteSession(self._session, status)
            self._session = None
        if self._graph is not None:
            tf.TF_DeleteGraph(self._graph)
            self._graph = None

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
            signature: Name of the signature.
            inputs: An array for each input, of the declared dtype; strings as
                `bytes`, `str` or objects. As in TF Serving, only the graph
                checks shapes.

        Returns:
            An array for each output; strings as objects of type `bytes`.

        Raises:
            NativeError: With the runtime's code and message;
                `INVALID_ARGUMENT` if the names do not match the signature.
        """
        if signature not in self.signatures:
            raise NativeError("NOT_FOUND", f"There is no signature `{signature}`.")
        spec = self.signatures[signature]
        required = set(spec.inputs) - set(spec.defaults)
        if not required <= set(inputs) <= set(spec.inputs):
            raise NativeError(
                "INVALID_ARGUMENT",
                f"Signature `{signature}` takes the inputs {sorted(spec.inputs)}. "
                f"Received: inputs={sorted(inputs)}",
            )
        given = {name: encode_tensor(np.asarray(inputs[name])) for name in inputs}
        protos = spec.defaults | given
        feeds = {spec.inputs[name].tensor: protos[name] for name in spec.inputs}
        fetches = [output.tensor for output in spec.outputs.values()]
        return dict(zip(spec.outputs, self._run(feeds, fetches), strict=True))

    def _run(self, feeds: Mapping[str, bytes], fetches: list[str]) -> list[np.ndarray]:
        """Feeds and fetches tensors by their names in the graph."""
        tf = library()
        sources = (Output * len(feeds))(*map(self._output, feeds))
        targets = (Output * len(fetches))(*map(self._output, fetches))
        answers = (ctypes.c_void_p * len(fetches))()
        with contextlib.ExitStack() as stack:
            values = [
                stack.enter_context(lend_tensor(proto)) for proto in feeds.values()
            ]
            with checked_status() as status:
                tf.TF_SessionRun(
                    self._session,
                    None,
                    sources,
                    (ctypes.c_void_p * len(values))(*values),
                    len(values),
                    targets,
                    answers,
                    len(fetches),
                    None,
                    0,
                    None,
                    status,
                )
        try:
            return [to_numpy(answer) for answer in answers if answer is not None]
        finally:
            for answer in answers:
                tf.TF_DeleteTensor(answer)

    def _output(self, tensor: str) -> Output:
        """Finds a tensor in the graph."""
        name, _, index = tensor.partition(":")
        operation = library().TF_GraphOperationByName(self._graph, name.encode())
        if not operation:
            raise NativeError("NOT_FOUND", f"The graph has no tensor `{tensor}`.")
        return Output(operation, int(index or 0))


def disable_xla() -> None:
    """Turns XLA off for the rest of this process, as TF Serving does.

    Raises:
        NativeError: If the installed TensorFlow has no such switch.
    """
    try:
        disable = getattr(library(), _DISABLE_XLA)
    except AttributeError as error:
        raise NativeError(
            "UNIMPLEMENTED",
            "The installed TensorFlow does not export "
            "`tensorflow::DisableXlaCompilation()`, so XLA cannot be switched off.",
        ) from error
    disable.restype, disable.argtypes = None, ()
    disable()


def ops_with_cpu_kernels() -> set[str]:
    """Returns the names of all ops that can run on a CPU."""
    with checked_status() as status:
        buffer = library().TF_GetAllRegisteredKernels(status)
    kernels = message_class("KernelList").FromString(buffer_bytes(buffer)).kernel
    library().TF_DeleteBuffer(buffer)
    return {kernel.op for kernel in kernels if kernel.device_type in _CPU_DEVICES}


def read_checkpoint(prefix: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Reads a checkpoint tensor by tensor and verifies its checksums.

    Args:
        prefix: Path without extension, such as `DIR/variables/variables`.

    Yields:
        Name and value of each tensor.

    Raises:
        NativeError: If a file is missing or damaged.
    """
    tf = library()
    with checked_status() as status:
        reader = tf.TF_NewCheckpointReader(str(prefix).encode(), status)
    try:
        for index in range(tf.TF_CheckpointReaderSize(reader)):
            name = tf.TF_CheckpointReaderGetVariable(reader, index)
            with checked_status() as status:
                tensor = tf.TF_CheckpointReaderGetTensor(reader, name, status)
            try:
                yield name.decode(errors="replace"), to_numpy(tensor)
            finally:
                tf.TF_DeleteTensor(tensor)
    finally:
        tf.TF_DeleteCheckpointReader(reader)


def decode_tensor(proto: bytes) -> np.ndarray:
    """Reads a serialized `TensorProto`.

    Args:
        proto: The bytes of the message; values may be packed or listed.

    Returns:
        The array; strings as objects of type `bytes`.

    Raises:
        NativeError: If the message is damaged or inconsistent.
    """
    with lend_tensor(proto) as tensor:
        return to_numpy(tensor)
