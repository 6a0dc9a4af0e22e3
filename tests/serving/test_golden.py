"""Golden requests come back as written."""

import numpy as np
import pytest

from modelyard.serving.golden import read_golden, write_golden


def test_golden_requests_come_back(tmp_path):
    inputs = {"text": np.array([b"ends in zero\0", "é", b""], object)}
    outputs = {
        "scores": np.array([[0.5], [np.nan], [1.0]], "float32"),
        "label": np.array([1, 2, 3], "int64"),
    }
    path = tmp_path / "assets.extra/golden.npz"
    write_golden(path, {"serve_text": (inputs, outputs)}, 1e-4)
    golden = read_golden(path)
    assert golden.tolerance == 1e-4
    found_inputs, found_outputs = golden.requests["serve_text"]
    assert found_inputs["text"].tolist() == [b"ends in zero\0", "é".encode(), b""]
    for name, array in outputs.items():
        assert found_outputs[name].dtype == array.dtype
        np.testing.assert_array_equal(found_outputs[name], array)


def test_bad_arguments_are_refused(tmp_path):
    request = {"serving_default": ({"x": np.ones(1)}, {"y": np.ones(1)})}
    with pytest.raises(ValueError, match=r"`tolerance` .*tolerance=-1"):
        write_golden(tmp_path / "g.npz", request, -1)
    with pytest.raises(ValueError, match=r"`requests` must not be empty"):
        write_golden(tmp_path / "g.npz", {}, 0.1)
    with pytest.raises(ValueError, match=r"array.dtype=complex128"):
        write_golden(tmp_path / "g.npz", {"s": ({"x": np.array([1j])}, {})}, 0.1)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4 no archive"])
def test_damaged_file_is_a_value_error(tmp_path, content):
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`path` must be a golden file"):
        read_golden(path)


def test_pickled_arrays_are_never_read(tmp_path):
    path = tmp_path / "golden.npz"
    np.savez(path, **{"s/inputs/x": np.array([{}], object), "tolerance": 0.1})
    with pytest.raises(ValueError, match=r"allow_pickle"):
        read_golden(path)
