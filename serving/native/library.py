"""Binds TensorFlow's C library with ctypes: functions, errors and tensors."""

import contextlib
import ctypes
import functools
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.serving.native.tensors import DTYPES, STRING

# absl/status/status.h: the index is the number of the code.
CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"),
    *("NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"),
    *("FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
_STRING_BYTES = 24  # sizeof(TF_TString), fixed by tensorflow/c/tf_tstring.h.
_FLOAT = 1


class NativeError(RuntimeError):
    """An error from TensorFlow's runtime.

    Attributes:
        code: Canonical name of the code, such as `"INVALID_ARGUMENT"`.
        message: The runtime's message.
    """

    def __init__(self, code: str, message: str):
        """Keeps the code apart from the message."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Output(ctypes.Structure):
    """`TF_Output`: one output of an operation."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Buffer(ctypes.Structure):
    """`TF_Buffer`: bytes that TensorFlow owns."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    )


_P, _I, _N, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_B = ctypes.POINTER(Buffer)
# Function: result, arguments. From tensorflow/c/c_api.h, c_api_experimental.h,
# tf_tensor.h, tf_tstring.h and kernels.h.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "TF_AllocateTensor": (_P, _I, _P, _I, _N),
    "TF_CheckpointReaderGetTensor": (_P, _P, _S, _P),
    "TF_CheckpointReaderGetVariable": (_S, _P, _I),
    "TF_CheckpointReaderSize": (_I, _P),
    "TF_DeleteBuffer": (None, _B),
    "TF_DeleteCheckpointReader": (None, _P),
    "TF_DeleteGraph": (None, _P),
    "TF_DeleteSession": (None, _P, _P),
    "TF_DeleteSessionOptions": (None, _P),
    "TF_DeleteStatus": (None, _P),
    "TF_DeleteTensor": (None, _P),
    "TF_Dim": (ctypes.c_int64, _P, _I),
    "TF_GetAllRegisteredKernels": (_B, _P),
    "TF_GetCode": (_I, _P),
    "TF_GraphOperationByName": (_P, _P, _S),
    "TF_LoadSessionFromSavedModel": (_P, _P, _B, _S, _P, _I, _P, _B, _P),
    "TF_Message": (_S, _P),
    "TF_NewBuffer": (_B,),
    "TF_NewBufferFromString": (_B, _S, _N),
    "TF_NewCheckpointReader": (_P, _S, _P),
    "TF_NewGraph": (_P,),
    "TF_NewSessionOptions": (_P,),
    "TF_NewStatus": (_P,),
    "TF_NumDims": (_I, _P),
    "TF_SessionRun": (None, _P, _B, _P, _P, _I, _P, _P, _I, _P, _I, _B, _P),
    "TF_StringGetDataPointer": (_P, _P),
    "TF_StringGetSize": (_N, _P),
    "TF_TensorData": (_P, _P),
    "TF_TensorFromProto": (None, _B, _P, _P),
    "TF_TensorType": (_I, _P),
}


@functools.cache
def library() -> ctypes.CDLL:
    """Opens the library inside the installed TensorFlow wheel.

    Returns:
        The library, with the types of its functions declared.

    Raises:
        ModuleNotFoundError: If TensorFlow is not installed.
    """
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("SavedModels need TensorFlow: pip install tensorflow")
    opened = ctypes.CDLL(str(Path(spec.origin).parent / "libtensorflow_cc.so.2"))
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(opened, name)
        function.restype, function.argtypes = result, arguments
    return opened


@contextlib.contextmanager
def checked_status() -> Iterator[int]:
    """Provides a `TF_Status` and raises the error that a call stores in it.

    Yields:
        The status to pass to one call, freed at the end of the `with` block.

    Raises:
        NativeError: If the call failed.
    """
    tf = library()
    status = tf.TF_NewStatus()
    try:
        yield status
        code = tf.TF_GetCode(status)
        if code:
            message = tf.TF_Message(status).decode(errors="replace")
            raise NativeError(CODES[code], message)
    finally:
        tf.TF_DeleteStatus(status)


@contextlib.contextmanager
def lend_tensor(proto: bytes) -> Iterator[int]:
    """Provides a `TF_Tensor` with the content of a `TensorProto`.

    Args:
        proto: The bytes of the message; values may be packed or listed.

    Yields:
        The tensor, freed at the end of the `with` block.

    Raises:
        NativeError: If the message is damaged or inconsistent.
    """
    # C++ frees its own memory, strings included, after the last use. Memory
    # from Python would have to outlive every use.
    tf = library()
    buffer = tf.TF_NewBufferFromString(proto, len(proto))
    tensor = tf.TF_AllocateTensor(_FLOAT, None, 0, 4)
    try:
        with checked_status() as status:
            tf.TF_TensorFromProto(buffer, tensor, status)
        yield tensor
    finally:
        tf.TF_DeleteTensor(tensor)
        tf.TF_DeleteBuffer(buffer)


def buffer_bytes(buffer: Any) -> bytes:
    """Copies the content of a `TF_Buffer`, given by its pointer."""
    return ctypes.string_at(buffer.contents.data, buffer.contents.length)


def to_numpy(tensor: int) -> np.ndarray:
    """Copies a `TF_Tensor`.

    Args:
        tensor: Pointer to the tensor.

    Returns:
        A read-only array; strings as objects of type `bytes`.

    Raises:
        NativeError: If the dtype holds no data, such as a resource.
    """
    tf = library()
    number = tf.TF_TensorType(tensor)
    if number not in DTYPES:
        raise NativeError("UNIMPLEMENTED", f"Tensors of dtype {number} hold no data.")
    shape = [tf.TF_Dim(tensor, i) for i in range(tf.TF_NumDims(tensor))]
    count, dtype = math.prod(shape), DTYPES[number][1]
    if not count:  # TF_TensorData crashes on a tensor without memory.
        return np.empty(shape, dtype)
    data = tf.TF_TensorData(tensor)
    if number != STRING:
        content = ctypes.string_at(data, count * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(shape)
    strings = np.empty(count, np.object_)
    for i in range(count):
        string = data + i * _STRING_BYTES
        start = tf.TF_StringGetDataPointer(string)
        strings[i] = ctypes.string_at(start, tf.TF_StringGetSize(string))
    return strings.reshape(shape)
