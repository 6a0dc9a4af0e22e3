"""The numeric precision and compilation mode that suit the machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import keras

Precision = Literal["auto", "float32", "bfloat16"]
Switch = Literal["auto", "on", "off"]

_CPU_INFO = Path("/proc/cpuinfo")


def resolve_precision(precision: Precision) -> str:
    """Returns the Keras dtype policy for training on this machine.

    Args:
        precision: `"auto"` selects bfloat16 compute where the hardware supports
            bfloat16 matrix products (processors with AMX or AVX-512 BF16, GPUs of
            compute capability 8.0 or above) and float32 elsewhere.

    Returns:
        `"mixed_bfloat16"` or `"float32"`. Variables are float32 in both.

    Raises:
        ValueError: If `precision` is not one of the three names.
    """
    if precision == "auto":
        precision = "bfloat16" if _has_fast_bfloat16() else "float32"
    if precision == "float32":
        return "float32"
    if precision == "bfloat16":
        return "mixed_bfloat16"
    raise ValueError(
        '`precision` must be "auto", "float32" or "bfloat16". '
        f"Received: precision={precision!r}"
    )


def resolve_xla(xla: Switch) -> bool:
    """Returns whether training steps are compiled with XLA.

    Args:
        xla: `"auto"` compiles on a GPU only, because XLA's convolutions on a CPU
            are several times slower than those of oneDNN. The jax backend always
            compiles.
    """
    if xla == "auto":
        return keras.backend.backend() == "jax" or bool(gpu_names())
    return xla == "on"


def gpu_names() -> list[str]:
    """Returns the names of the GPUs that the Keras backend can use."""
    # Without a GPU, jax raises an error when asked for GPUs only.
    return [name for name in keras.distribution.list_devices() if "gpu" in name.lower()]


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Sets the global Keras dtype policy within a `with` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _has_fast_bfloat16() -> bool:
    """Whether the hardware multiplies bfloat16 matrices."""
    if gpu_names():
        if keras.backend.backend() != "tensorflow":
            return True
        import tensorflow as tf

        details = [
            tf.config.experimental.get_device_details(gpu)
            for gpu in tf.config.list_physical_devices("GPU")
        ]
        return all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    if not _CPU_INFO.exists():
        return False
    flags = _CPU_INFO.read_text()
    return "amx_bf16" in flags or "avx512_bf16" in flags
