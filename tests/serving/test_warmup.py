"""Warm-up files have the format that TF Serving reads."""

import numpy as np
import pytest
import tensorflow as tf

from modelyard.serving.native.loader import decode_tensor
from modelyard.serving.warmup import WarmupRequest, read_warmup, write_warmup

REQUESTS = [
    ("serving_default", {"b": np.ones((2, 3), "float32"), "a": np.arange(2)}),
    ("serve_bytes", {"image_bytes": np.array([b"one\0", b"two"], object)}),
]


def test_requests_come_back(tmp_path):
    path = tmp_path / "assets.extra/requests"
    write_warmup(path, REQUESTS, "mnist")
    for found, (signature, inputs) in zip(read_warmup(path), REQUESTS, strict=True):
        assert (found.kind, found.signature) == ("predict", signature)
        assert set(found.inputs) == set(inputs)
        for name, array in inputs.items():
            answer = decode_tensor(found.inputs[name])
            np.testing.assert_array_equal(answer, array)


def test_records_are_the_bytes_of_tensorflow_serving_api(tmp_path):
    path = tmp_path / "requests"
    write_warmup(path, REQUESTS[1:], "m")
    (record,) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    tensor = tf.make_tensor_proto(REQUESTS[1][1]["image_bytes"]).SerializeToString()
    entry = b"\x0a\x0bimage_bytes\x12" + bytes([len(tensor)]) + tensor
    request = b"\x0a\x10\x0a\x01m\x1a\x0bserve_bytes\x12" + bytes([len(entry)]) + entry
    log = b"\x0a" + bytes([len(request)]) + request
    assert record == b"\x32" + bytes([len(log)]) + log


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda content: content[:-1], "Record 1 is cut off"),
        (lambda content: content[:20] + b"?" + content[21:], "Record 0 is damaged"),
        (lambda content: content + b"\0", "Record 2 is cut off"),
    ],
)
def test_damaged_file_is_a_value_error(tmp_path, change, seen):
    path = tmp_path / "requests"
    write_warmup(path, REQUESTS, "m")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=seen):
        read_warmup(path)


def test_records_of_other_kinds_are_named(tmp_path):
    path = tmp_path / "requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\x12\x02\x0a\x00")
        writer.write(b"")
    assert read_warmup(path) == [WarmupRequest("classify"), WarmupRequest("unknown")]


def test_too_many_requests_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at most 1000 .*len\(requests\)=1002"):
        write_warmup(tmp_path / "requests", REQUESTS * 501, "m")
