"""The bare rate of convolutions on this machine, in GFLOP/s.

    python benchmarks/conv_rate.py --torch-python PATH

Plain 3x3 convolutions, forward only, in the shapes of the CIFAR-10 network: in
TensorFlow and, with the Python of `--torch-python`, in PyTorch. The best rate over
shapes and libraries is the machine's bare rate, with which the rates of training steps
are compared. Run it on an idle machine; it takes about a minute.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As in our commands.

import tensorflow as tf
from machine import describe_machine

_HERE = Path(__file__).parent
DEFAULT_OUTPUT = _HERE / "results" / "conv_rate.json"
_SHAPES = (  # Side, channels, filters.
    (31, 24, 64),
    (15, 64, 64),
    (15, 64, 256),
    (7, 256, 256),
    (3, 256, 256),
)
_PRECISIONS = ("bfloat16", "float32")


def main():
    """Measures every shape, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch-python", help="Python with PyTorch; without it, TensorFlow only"
    )
    parser.add_argument("--batch-size", type=int, default=1024, help="default: 1024")
    parser.add_argument("--repeats", type=int, default=7, help="default: 7")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="JSON file to write"
    )
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")

    batch_size, repeats = arguments.batch_size, arguments.repeats
    seconds = {
        "tensorflow": {
            precision: [
                _times(shape, batch_size, precision, repeats) for shape in _SHAPES
            ]
            for precision in _PRECISIONS
        }
    }
    versions = {}
    if arguments.torch_python:
        seconds["torch"], versions["torch"] = _torch(
            arguments.torch_python, batch_size, repeats
        )
    rates = {
        library: {
            precision: {
                "{0}x{0}, {1} to {2}".format(*shape): _rate(shape, batch_size, times)
                for shape, times in zip(_SHAPES, rows, strict=True)
            }
            for precision, rows in precisions.items()
        }
        for library, precisions in seconds.items()
    }
    best = {
        precision: max(
            rate for library in rates.values() for rate in library[precision].values()
        )
        for precision in _PRECISIONS
    }
    results = {
        "best_gflop_per_second": best,
        "gflop_per_second": rates,
        "batch_size": batch_size,
        "repeats": repeats,
        "load_average_at_end": round(os.getloadavg()[0], 2),
        "machine": {**describe_machine(), **versions},
    }
    for library, precisions in rates.items():
        for precision, shapes in precisions.items():
            for shape, rate in shapes.items():
                print(f"{library:12s}{precision:10s}{shape:20s}{rate:8.0f} GFLOP/s")
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"Written to {arguments.output}")


def _times(shape, batch_size, precision, repeats):
    """Seconds of each call, without the first ones, which trace and plan."""
    side, channels, filters = shape
    pixels = tf.cast(tf.random.normal((batch_size, side, side, channels)), precision)
    kernel = tf.cast(tf.random.normal((3, 3, channels, filters)), precision)
    # A variable may change between calls, as in training.
    kernel = tf.Variable(kernel)

    @tf.function
    def convolve(pixels):
        return tf.nn.conv2d(pixels, kernel, strides=1, padding="SAME")

    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        convolve(pixels)
        times.append(time.perf_counter() - began)
    return times[2:]


def _torch(python, batch_size, repeats):
    """The same in PyTorch: seconds by precision and shape, and its version."""
    done = subprocess.run(
        [
            *(python, _HERE / "peers" / "torch_conv_rate.py"),
            *("--shapes", json.dumps(_SHAPES)),
            *("--batch-size", str(batch_size), "--repeats", str(repeats)),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["seconds"], answer["version"]


def _rate(shape, batch_size, times):
    """GFLOP/s of the median call; positions at the border count in full."""
    side, channels, filters = shape
    operations = 2 * batch_size * side**2 * 9 * channels * filters
    return operations / statistics.median(times) / 1e9


if __name__ == "__main__":
    main()
