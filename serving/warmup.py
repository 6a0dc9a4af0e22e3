"""Warm-up requests, which TF Serving runs before it makes a new version available.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog`
messages (tensorflow_serving/apis/prediction_log.proto). This module writes and
reads it without the package tensorflow-serving-api.
"""

import dataclasses
import functools
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from modelyard.serving.native.protos import message_class
from modelyard.serving.native.tensors import encode_tensor

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


@dataclasses.dataclass(frozen=True)
class WarmupRequest:
    """One record of a warm-up file.

    Attributes:
        kind: `"predict"`, `"classify"`, `"regress"`, `"multi_inference"` or
            `"unknown"`; the other fields are read only for predict requests.
        signature: Name of the signature; `serving_default` if the request names
            none.
        inputs: A serialized `TensorProto` for each input
            (`native.loader.decode_tensor` reads it).
    """

    kind: str
    signature: str = "serving_default"
    inputs: dict[str, bytes] = dataclasses.field(default_factory=dict)


def write_warmup(
    path: Path,
    requests: Iterable[tuple[str, Mapping[str, np.ndarray]]],
    model_name: str,
) -> None:
    """Writes the warm-up file of an export.

    Args:
        path: The file, `EXPORT/assets.extra/tf_serving_warmup_requests`; its
            folder is created.
        requests: Signature and arrays by input name, for up to 1000 requests.
        model_name: Name of the model; TF Serving ignores it.

    Raises:
        ValueError: If there are too many requests, or an array has a dtype
            that TensorFlow does not know.
    """
    requests = list(requests)
    if len(requests) > MAX_RECORDS:
        raise ValueError(
            f"`requests` must hold at most {MAX_RECORDS} requests. "
            f"Received: len(requests)={len(requests)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for signature, inputs in requests:
            log = message_class("PredictionLog")()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, array in inputs.items():
                request.inputs[name] = encode_tensor(np.asarray(array))
            data = log.SerializeToString(deterministic=True)
            length = struct.pack("<Q", len(data))
            file.write(length + _masked_crc(length) + data + _masked_crc(data))


def read_warmup(path: Path) -> list[WarmupRequest]:
    """Reads a warm-up file.

    Args:
        path: The file.

    Returns:
        The requests in order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a record is cut off, damaged or not a `PredictionLog`.
    """
    return [
        _read_request(data, number) for number, data in enumerate(_read_records(path))
    ]


def _read_request(data: bytes, number: int) -> WarmupRequest:
    """Parses one record."""
    try:
        log = message_class("PredictionLog").FromString(data)
    except DecodeError as error:
        raise ValueError(f"Record {number} is not a PredictionLog.") from error
    if log.HasField("predict_log"):
        request = log.predict_log.request
        signature = request.model_spec.signature_name or "serving_default"
        return WarmupRequest("predict", signature, dict(request.inputs))
    for kind in ("classify", "regress", "multi_inference"):
        if getattr(log, f"{kind}_log"):
            return WarmupRequest(kind)
    return WarmupRequest("unknown")


def _read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file after checking their checksums."""
    content, position, number = path.read_bytes(), 0, 0
    while position < len(content):
        length = content[position : position + 8]
        size = int.from_bytes(length, "little")
        end = position + 12 + size
        data = content[position + 12 : end]
        if end + 4 > len(content):
            raise ValueError(f"Record {number} is cut off: the file is truncated.")
        if content[position + 8 : position + 12] != _masked_crc(length) or content[
            end : end + 4
        ] != _masked_crc(data):
            raise ValueError(f"Record {number} is damaged: its checksum is wrong.")
        yield data
        position, number = end + 4, number + 1


def _masked_crc(data: bytes) -> bytes:
    """Computes TFRecord's checksum: CRC-32C, rotated and shifted."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.cache
def _crc_table() -> tuple[int, ...]:
    """Builds the table of CRC-32C (Castagnoli polynomial, reflected)."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
