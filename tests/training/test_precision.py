import contextlib

import keras
import pytest

from modelyard.training import precision


@pytest.mark.parametrize(
    ("flags", "policy"),
    [
        ("flags: sse avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("flags: sse avx2", "float32"),
    ],
)
def test_auto_selects_bfloat16_where_the_processor_supports_it(
    tmp_path, monkeypatch, flags, policy
):
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "gpu_names", list)
    assert precision.resolve_precision("auto") == policy


def test_named_precision_is_kept():
    assert precision.resolve_precision("float32") == "float32"
    assert precision.resolve_precision("bfloat16") == "mixed_bfloat16"


def test_unknown_precision_is_named():
    with pytest.raises(ValueError, match="Received: precision='float8'"):
        precision.resolve_precision("float8")


def test_xla_is_off_on_a_processor_unless_asked_for(monkeypatch):
    monkeypatch.setattr(precision, "gpu_names", list)
    assert precision.resolve_xla("auto") is (keras.backend.backend() == "jax")
    assert precision.resolve_xla("on") is True
    assert precision.resolve_xla("off") is False


def test_policy_is_restored_even_after_an_error():
    with contextlib.suppress(KeyError), precision.dtype_policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise KeyError
    assert keras.config.dtype_policy().name == "float32"
