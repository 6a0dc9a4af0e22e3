"""Time and peak memory of a request to an export that answers with pictures.

    python benchmarks/picture_serving.py --name denoise-bsd68 saved_models/NAME/1

Each size is measured in a fresh process on one core, through the C++ session that TF
Serving uses: the median of several requests after a first one, and the peak memory of
the whole process. Results are merged into benchmarks/results/picture_serving.json.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

_REQUESTS = {512: 20, 2048: 5}
_RESULTS = Path(__file__).parent / "results" / "picture_serving.json"


def main():
    """Measures all sizes, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("--name", help="name of the figure")
    parser.add_argument("--size", type=int, help="measure this size in this process")
    arguments = parser.parse_args()
    if arguments.size is not None:
        print(json.dumps(_measure(arguments.export, arguments.size)))
        return
    record = {"machine": describe_machine(), "sizes": {}}
    for size in _REQUESTS:
        command = [sys.executable, __file__, arguments.export, "--size", str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        record["sizes"][str(size)] = json.loads(done.stdout.splitlines()[-1])
        print(size, record["sizes"][str(size)], flush=True)
    results = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    results[arguments.name] = record
    _RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _measure(export, size):
    """Sends pictures of noise to `serving_default`."""
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    from modelyard.serving.native.loader import NativeModel

    with NativeModel(export) as model:
        *_, channels = model.signatures["serving_default"].inputs["pixels"].shape
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (1, size, size, channels)).astype("float32")
        times = []
        for _ in range(1 + _REQUESTS[size]):
            began = time.perf_counter()
            model.run("serving_default", {"pixels": pixels})
            times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "channels": channels,
        "milliseconds": 1000 * statistics.median(times[1:]),
        "first_milliseconds": 1000 * times[0],
        "peak_megabytes": peak / 1024,
        "requests": _REQUESTS[size],
    }


if __name__ == "__main__":
    main()
