"""What every result says of the machine and the versions behind it."""

import datetime
import os
import platform
import re
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "modelyard",
    "tensorflow",
    "keras",
    "numpy",
    "tensorflow-datasets",
    "scikit-learn",
)


def describe_machine() -> dict:
    """Returns date, processor, cores and versions."""
    info = Path("/proc/cpuinfo").read_text()
    cpu = re.search(r"model name\s*:\s*(.+)", info)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "bfloat16_in_hardware": "amx_bf16" in info or "avx512_bf16" in info,
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in _PACKAGES},
    }
