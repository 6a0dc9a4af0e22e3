"""Training throughput of LSTM layers: ours, Keras' and PyTorch's, in turn.

    python benchmarks/lstm_throughput.py --torch-python PATH

One bidirectional layer reads texts of word vectors without padding. A step computes its
output, the mean square of the output, and the gradients of weights and inputs. Each
layer runs in its own process, one after the other in every round. Figures are tokens
per second of the median step, and their share of the rate of a large matrix product on
the same machine. Precision is float32; oneDNN is on for both Keras layers, as in our
commands. Run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe_machine

_HERE = Path(__file__).parent
_SIZES = (  # Texts, words, size of the vectors, units per direction.
    (32, 200, 128, 64),
    (32, 200, 128, 128),
    (128, 200, 128, 128),
    (64, 200, 256, 512),
)
_STEPS = 12
_WARM_UP = 3
_PRODUCT = 2048  # Rows and columns of the matrices for the bare rate.


def main():
    """Measures every size, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch-python", help="Python with PyTorch; without it, Keras only"
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--output", type=Path, default=_HERE / "results" / "lstm_throughput.json"
    )
    parser.add_argument("--worker", choices=list(_WORKERS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_WORKERS[arguments.worker]()))
        return
    commands = {name: [sys.executable, __file__, "--worker", name] for name in _WORKERS}
    if arguments.torch_python:
        sizes = json.dumps([_SIZES, _STEPS, _WARM_UP])
        peer = str(_HERE / "peers" / "torch_lstm.py")
        commands["torch"] = [arguments.torch_python, peer, "--sizes", sizes]
    seconds: dict[str, list[list[float]]] = {name: [] for name in commands}
    for turn in range(arguments.rounds):
        for name, command in commands.items():
            seconds[name].append(_run(command))
            print(f"round {turn + 1}: {name} done", flush=True)
    results = _summarise(seconds)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"Written to {arguments.output}")


def _run(command):
    """The last line that a process prints, as JSON."""
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={
            "TF_ENABLE_ONEDNN_OPTS": "1",
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    return json.loads(done.stdout.splitlines()[-1])


def _summarise(seconds):
    """Rates by size and layer, and ratios within each round."""
    bare = statistics.median(rate for (rate,) in seconds.pop("matmul"))
    rows = []
    for i, (texts, words, dim, units) in enumerate(_SIZES):
        # Both directions; forward, and the gradients of weights and inputs.
        operations = 3 * 2 * 2 * (dim + units) * 4 * units
        layers = {}
        for name, rounds in seconds.items():
            rates = [texts * words / times[i] for times in rounds]
            ratios = [
                ours[i] / times[i]
                for ours, times in zip(seconds["fast"], rounds, strict=True)
            ]
            median = statistics.median(rates)
            layers[name] = {
                "tokens_per_second": median,
                "min": min(rates),
                "max": max(rates),
                "share_of_bare_rate": median * operations / 1e9 / bare,
                "fast_is_faster_by": [1 / ratio for ratio in ratios],
            }
        size = {"texts": texts, "words": words, "dim": dim, "units": units}
        rows.append({"size": size, "layers": layers})
        print(size)
        for name, row in layers.items():
            factor = statistics.median(row["fast_is_faster_by"])
            print(
                f"  {name:6s}{row['tokens_per_second']:10,.0f} tokens/s "
                f"{row['share_of_bare_rate']:6.1%} of the bare rate; "
                f"FastLSTM is {factor:.2f} times as fast"
            )
    return {
        "bare_gflop_per_second": bare,
        "sizes": rows,
        "rounds": seconds,
        "machine": describe_machine(),
    }


def _matmul():
    """GFLOP/s of a large matrix product."""
    import tensorflow as tf

    matrix = tf.random.normal((_PRODUCT, _PRODUCT))
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    times = []
    for _ in range(_WARM_UP + _STEPS):
        began = time.perf_counter()
        product()
        times.append(time.perf_counter() - began)
    return [2 * _PRODUCT**3 / statistics.median(times[_WARM_UP:]) / 1e9]


def _fast():
    """Seconds of a step of `FastLSTM`, by size."""
    from modelyard.models import FastLSTM

    def make(units):
        return FastLSTM(units, bidirectional=True, return_sequences=True)

    return [_time_layer(make, *size) for size in _SIZES]


def _keras():
    """Seconds of a step of `Bidirectional(LSTM)`, by size."""
    from keras import layers

    def make(units):
        return layers.Bidirectional(layers.LSTM(units, return_sequences=True))

    return [_time_layer(make, *size) for size in _SIZES]


def _time_layer(make, texts, words, dim, units):
    """Seconds of the median step of a Keras layer."""
    import tensorflow as tf

    layer = make(units)
    vectors = tf.random.normal((texts, words, dim))
    layer(vectors)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = tf.reduce_mean(tf.square(layer(vectors, training=True)))
        variables = [v.value for v in layer.trainable_variables]
        return tape.gradient(loss, [vectors, *variables])

    times = []
    for _ in range(_WARM_UP + _STEPS):
        began = time.perf_counter()
        gradients = step()
        gradients[0][0, 0, 0].numpy()  # Waits for the step.
        times.append(time.perf_counter() - began)
    return statistics.median(times[_WARM_UP:])


_WORKERS = {"matmul": _matmul, "fast": _fast, "keras": _keras}

if __name__ == "__main__":
    main()
