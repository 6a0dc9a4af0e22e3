"""Maps TensorFlow's dtypes and signatures to NumPy."""

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

from modelyard.serving.native.protos import message_class

STRING = 7
# tensorflow/core/framework/types.proto: number -> (name, NumPy dtype).
DTYPES: dict[int, tuple[str, np.dtype]] = {
    number: (name, np.dtype(kind))
    for number, name, kind in (
        (1, "float32", np.float32),
        (2, "float64", np.float64),
        (3, "int32", np.int32),
        (4, "uint8", np.uint8),
        (5, "int16", np.int16),
        (6, "int8", np.int8),
        (STRING, "string", np.object_),
        (8, "complex64", np.complex64),
        (9, "int64", np.int64),
        (10, "bool", np.bool_),
        (14, "bfloat16", ml_dtypes.bfloat16),
        (17, "uint16", np.uint16),
        (18, "complex128", np.complex128),
        (19, "float16", np.float16),
        (22, "uint32", np.uint32),
        (23, "uint64", np.uint64),
        (24, "float8_e5m2", ml_dtypes.float8_e5m2),
        (25, "float8_e4m3fn", ml_dtypes.float8_e4m3fn),
    )
}
_NUMBERS = {dtype: number for number, (_, dtype) in DTYPES.items()}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        tensor: Name of the tensor in the graph; empty for a sparse or ragged one.
        dtype: Number of the dtype in `types.proto`.
        shape: Sizes, None for a free one; None as a whole if the rank is unknown.
    """

    tensor: str
    dtype: int
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """Returns the dtype and the shape, as in `float32 [n, 28, 28]`."""
        if self.shape is None:
            return f"{dtype_name(self.dtype)} [...]"
        sizes = ["?" if size is None else str(size) for size in self.shape]
        if self.shape and self.shape[0] is None:
            sizes[0] = "n"
        return f"{dtype_name(self.dtype)} [{', '.join(sizes)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """The named inputs and outputs of one signature.

    Attributes:
        inputs: Spec of each input.
        outputs: Spec of each output.
        defaults: A serialized `TensorProto` for each optional input.
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    defaults: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Returns `input: spec, ... -> output: spec, ...`."""
        inputs, outputs = (
            ", ".join(f"{name}: {spec}" for name, spec in sorted(specs.items()))
            for specs in (self.inputs, self.outputs)
        )
        return f"{inputs} -> {outputs}"


def read_signatures(meta_graph: Any) -> dict[str, Signature]:
    """Lists the signatures that clients can call.

    Args:
        meta_graph: A `MetaGraphDef` message.

    Returns:
        Signatures by name, without TensorFlow's internal ones.
    """
    return {
        name: Signature(
            inputs={key: _spec(info) for key, info in definition.inputs.items()},
            outputs={key: _spec(info) for key, info in definition.outputs.items()},
            defaults=dict(definition.defaults),
        )
        for name, definition in sorted(meta_graph.signature_def.items())
        if not name.startswith("__saved_model_")
    }


def dtype_name(number: int) -> str:
    """Names a dtype of `types.proto`, such as 1: `float32`."""
    return DTYPES[number][0] if number in DTYPES else f"dtype {number}"


def dtype_number(array: np.ndarray) -> int:
    """Returns the number of an array's dtype in `types.proto`.

    Args:
        array: An array of numbers, bools or strings (`str`, `bytes` or objects).

    Returns:
        The number; see `DTYPES`.

    Raises:
        ValueError: If TensorFlow does not have this dtype.
    """
    if array.dtype.kind in "SU":
        return STRING
    if array.dtype not in _NUMBERS:
        raise ValueError(
            "`array` must have a dtype that TensorFlow knows. "
            f"Received: array.dtype={array.dtype}"
        )
    return _NUMBERS[array.dtype]


def encode_tensor(array: np.ndarray) -> bytes:
    """Serializes an array as a `TensorProto`.

    Args:
        array: An array of numbers, bools or strings; text is encoded as UTF-8.

    Returns:
        The bytes of the message.

    Raises:
        ValueError: If the dtype is unknown or an object is not a string.
    """
    proto = message_class("TensorProto")(dtype=dtype_number(array))
    # The empty shape of a scalar must still be present in the message.
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if proto.dtype == STRING:
        proto.string_val.extend(_to_bytes(item) for item in array.ravel().tolist())
    else:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto.SerializeToString(deterministic=True)


def _spec(info: Any) -> TensorSpec:
    """Reads one `TensorInfo`."""
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(
            None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim
        )
    return TensorSpec(info.name, info.dtype, shape)


def _to_bytes(item: str | bytes) -> bytes:
    """Encodes one element of a string array."""
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise ValueError(
        "`array` of objects must hold only strings. "
        f"Received: an element of type {type(item).__name__}"
    )
