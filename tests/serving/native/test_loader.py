"""The C library runs SavedModels as TF Serving does."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from modelyard.serving.native.library import NativeError, library
from modelyard.serving.native.loader import (
    NativeModel,
    decode_tensor,
    disable_xla,
    ops_with_cpu_kernels,
    read_checkpoint,
)
from modelyard.serving.native.tensors import DTYPES, encode_tensor


@pytest.fixture(scope="module")
def model(saved_models):
    with NativeModel(saved_models / "good") as loaded:
        yield loaded


@pytest.mark.parametrize("number", sorted(set(DTYPES) - {7}))
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_numbers_survive_the_round_trip(number, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(DTYPES[number][1])
    answer = decode_tensor(encode_tensor(array))
    assert answer.dtype == array.dtype
    np.testing.assert_array_equal(answer, array)


def test_strings_survive_the_round_trip():
    strings = [[b"", b"ends in zero\0"], ["é", b"long " * 100]]
    answer = decode_tensor(encode_tensor(np.array(strings, object)))
    assert answer.tolist() == [[b"", b"ends in zero\0"], ["é".encode(), b"long " * 100]]


def test_signature_runs_by_name(model):
    assert str(model.signatures["serving_default"]) == (
        "pixels: float32 [n, 12] -> classes: string [n, 3], scores: float32 [n, 3]"
    )
    outputs = model.run("serving_default", {"pixels": np.ones((4, 12), "float32")})
    np.testing.assert_allclose(outputs["scores"].sum(axis=1), np.ones(4), rtol=1e-6)
    assert outputs["classes"][3].tolist() == [b"cat", b"dog", b"eel"]


def test_errors_keep_their_code(model, saved_models):
    with pytest.raises(NativeError) as caught:
        model.run("serving_default", {"pixels": np.ones((4, 13), "float32")})
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "Matrix size-incompatible" in caught.value.message
    with pytest.raises(NativeError, match=r"NOT_FOUND: There is no signature `x`"):
        model.run("x", {})
    with pytest.raises(NativeError, match=r"INVALID_ARGUMENT: .*inputs=\['image'\]"):
        model.run("serve_bytes", {"image": np.array([b""])})
    with pytest.raises(NativeError) as caught:
        NativeModel(saved_models / "nowhere")
    assert caught.value.code == "NOT_FOUND"


def test_xla_is_off_only_where_it_was_disabled(saved_models):
    script = f"""
import numpy as np
from modelyard.serving.native.loader import NativeError, NativeModel, disable_xla
if {{off}}:
    disable_xla()
with NativeModel({str(saved_models / "compiled")!r}) as model:
    try:
        model.run("serving_default", {{{{"pixels": np.ones((1, 12), "float32")}}}})
        print("ran")
    except NativeError as error:
        print(error.code)
"""
    for off, expected in ((True, "INTERNAL"), (False, "ran")):
        command = [sys.executable, "-c", script.format(off=off)]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        assert process.stdout.strip() == expected


def test_cpu_kernels_and_checkpoint_are_listed(saved_models):
    ops = ops_with_cpu_kernels()
    assert "MatMul" in ops
    assert "CudnnRNNV3" not in ops
    prefix = saved_models / "good/variables/variables"
    shapes = {array.shape for name, array in read_checkpoint(prefix) if "/" in name}
    assert shapes == {(12, 8), (8,), (8, 3), (3,)}


def test_tensorflow_without_the_xla_switch_still_predicts(saved_models, monkeypatch):
    class WithoutSwitch(ctypes.CDLL):
        def __getitem__(self, name):
            if "DisableXla" in name:
                raise AttributeError(f"undefined symbol: {name}")
            return super().__getitem__(name)

    monkeypatch.setattr(ctypes, "CDLL", WithoutSwitch)
    library.cache_clear()
    try:
        with NativeModel(saved_models / "good") as model:
            pixels = np.ones((1, 12), "float32")
            assert model.run("serving_default", {"pixels": pixels})["scores"].size == 3
        with pytest.raises(NativeError, match="so XLA cannot be switched off"):
            disable_xla()
    finally:
        library.cache_clear()
