"""The machine and versions recorded with every result."""

import datetime
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "modelyard",
    "tensorflow",
    "keras",
    "numpy",
    "tensorflow-datasets",
    "scikit-learn",
)
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f")


def describe_machine() -> dict[str, Any]:
    """Returns date, processor, cores and versions."""
    info = Path("/proc/cpuinfo").read_text()
    cpu = re.search(r"model name\s*:\s*(.+)", info)
    instructions = [name for name in _INSTRUCTIONS if name in info]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "bfloat16_in_hardware": "amx_bf16" in info or "avx512_bf16" in info,
        "instructions": instructions,
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in _PACKAGES},
    }


def label_machine(machine: dict[str, Any]) -> str:
    """Returns a short name of a processor, such as "Xeon AMX" or "EPYC AVX-512".

    Args:
        machine: A result of `describe_machine`, perhaps of an earlier version that
            did not record `instructions`.
    """
    cpu = machine["cpu"]
    family = next((name for name in ("Xeon", "EPYC") if name in cpu), cpu)
    instructions = machine.get("instructions", [])
    if "amx_bf16" in instructions:
        return f"{family} AMX"
    # EPYC processors have no AMX, so their bfloat16 is that of AVX-512.
    has_avx512_bf16 = family == "EPYC" and machine["bfloat16_in_hardware"]
    return f"{family} AVX-512" if instructions or has_avx512_bf16 else family
