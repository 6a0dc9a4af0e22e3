"""Protocol buffer messages of a SavedModel, with only the fields that we read.

TensorFlow's own classes need its import, which takes seconds. Parsers of protocol
buffers skip unknown fields, so these smaller messages can read the same files.
"""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message -> field -> (number, type). `*` marks a repeated field, `map<T>` a map
# from string to T. TensorProtos inside maps are declared as `bytes`, which have
# the same wire format. Sources: tensorflow/core/{framework,protobuf}/*.proto and
# tensorflow_serving/apis/*.proto.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "SavedModel": {"meta_graphs": (2, "MetaGraphDef*")},
    "MetaGraphDef": {
        "meta_info_def": (1, "MetaInfoDef"),
        "graph_def": (2, "GraphDef"),
        "signature_def": (5, "map<SignatureDef>"),
        "asset_file_def": (6, "AssetFileDef*"),
    },
    "MetaInfoDef": {"tags": (4, "string*")},
    "AssetFileDef": {"filename": (2, "string")},
    "SignatureDef": {
        "inputs": (1, "map<TensorInfo>"),
        "outputs": (2, "map<TensorInfo>"),
        "defaults": (4, "map<bytes>"),
    },
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "int32"),
        "tensor_shape": (3, "TensorShapeProto"),
    },
    "TensorShapeProto": {"dim": (2, "Dim*"), "unknown_rank": (3, "bool")},
    "Dim": {"size": (1, "int64")},
    "GraphDef": {"node": (1, "NodeDef*"), "library": (2, "FunctionDefLibrary")},
    "NodeDef": {
        "name": (1, "string"),
        "op": (2, "string"),
        "attr": (5, "map<AttrValue>"),
    },
    "AttrValue": {
        "list": (1, "AttrList"),
        "b": (5, "bool"),
        "func": (10, "FunctionName"),
    },
    "AttrList": {"func": (9, "FunctionName*")},
    "FunctionName": {"name": (1, "string")},
    "FunctionDefLibrary": {"function": (1, "FunctionDef*")},
    "FunctionDef": {
        "signature": (1, "OpDef"),
        "node_def": (3, "NodeDef*"),
        "attr": (5, "map<AttrValue>"),
    },
    "OpDef": {"name": (1, "string")},
    "KernelList": {"kernel": (1, "KernelDef*")},
    "KernelDef": {"op": (1, "string"), "device_type": (2, "string")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "string_val": (8, "bytes*"),
    },
    "PredictionLog": {
        "classify_log": (2, "bytes"),
        "regress_log": (3, "bytes"),
        "predict_log": (6, "PredictLog"),
        "multi_inference_log": (4, "bytes"),
    },
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "map<bytes>"),
    },
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}
_PACKAGE = "modelyard.serving"


def message_class(name: str) -> Any:
    """Returns the class of one message.

    Args:
        name: TensorFlow's name for the message, such as `"SavedModel"`.

    Returns:
        A protocol buffer class with the fields listed in this module.
    """
    descriptor = _pool().FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(descriptor)


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """Builds the messages in a separate pool, so that they cannot clash."""
    file = descriptor_pb2.FileDescriptorProto(
        name="modelyard/serving.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    """Adds one field, and for a map also its entry message."""
    label = _Field.LABEL_OPTIONAL
    if kind.startswith("map<"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind[4:-1])
        kind, label = f"{message.name}.{entry.name}", _Field.LABEL_REPEATED
    elif kind.endswith("*"):
        kind, label = kind[:-1], _Field.LABEL_REPEATED
    field = message.field.add(name=name, number=number, label=label)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
