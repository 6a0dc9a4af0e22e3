"""Writes files as `torch.save` does, without PyTorch; also malicious ones."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile
from typing import Any

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}


class FloatStorage:
    """Stands in for `torch.FloatStorage`, which files name."""


class LongStorage:
    """Stands in for `torch.LongStorage`, which files name."""


def _rebuild_tensor_v2():
    """Stands in for the PyTorch function that files name."""


FloatStorage.__module__ = LongStorage.__module__ = "torch"
_rebuild_tensor_v2.__module__ = "torch._utils"


class Tensor:
    """Pickles as a tensor over `storage`, a NumPy array of one axis."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = (storage, offset, size, stride, False)

    def __reduce__(self):
        return _rebuild_tensor_v2, (*self.arguments, collections.OrderedDict())


def tensor(array):
    """Describes an array as a tensor of its own storage."""
    stride = tuple(step // array.itemsize for step in array.strides)
    return Tensor(array.ravel(), 0, array.shape, stride)


class _Pickler(pickle.Pickler):
    """Keeps storages out of the pickle, as PyTorch does."""

    def __init__(self, stream, storages, view):
        super().__init__(stream, protocol=2)
        self.storages = storages
        self.view = view

    def persistent_id(self, obj):
        if not isinstance(obj, np.ndarray):
            return None
        self.storages[str(id(obj))] = obj
        kind = {"f": FloatStorage, "i": LongStorage}[obj.dtype.kind]
        return ("storage", kind, str(id(obj)), "cpu", len(obj), *self.view)


def _pickle(obj, storages, view):
    """Pickles `obj` while stand-ins for the PyTorch modules are importable."""
    package: Any = types.ModuleType("torch")
    inner: Any = types.ModuleType("torch._utils")
    package.FloatStorage, package.LongStorage = FloatStorage, LongStorage
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2
    stream = io.BytesIO()
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": package, "torch._utils": inner})
    try:
        _Pickler(stream, storages, view).dump(obj)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return stream.getvalue()


def legacy_bytes(state, *, magic=MAGIC, system=SYSTEM):
    """The bytes of the format of consecutive pickles."""
    storages: dict[str, np.ndarray] = {}
    parts = [pickle.dumps(obj, protocol=2) for obj in (magic, PROTOCOL, system)]
    parts.append(_pickle(state, storages, view=(None,)))
    parts.append(pickle.dumps(list(storages), protocol=2))
    for array in storages.values():
        parts += [struct.pack("<q", len(array)), array.tobytes()]
    return b"".join(parts)


def zip_bytes(state, *, compression=zipfile.ZIP_STORED, byteorder=b"little"):
    """The bytes of the zip format."""
    storages: dict[str, np.ndarray] = {}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("weights/data.pkl", _pickle(state, storages, view=()))
        archive.writestr("weights/byteorder", byteorder)
        for key, array in storages.items():
            archive.writestr(f"weights/data/{key}", array.tobytes())
        archive.writestr("weights/version", "3\n")
    return stream.getvalue()
