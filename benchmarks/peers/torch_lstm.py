"""The peer of the LSTM throughput: `torch.nn.LSTM` in both directions.

Prints one line of JSON: for each of the sizes (texts, words, size of the vectors,
units) the seconds of the median step, which is the output, the mean square of it,
and the gradients of weights and inputs.
"""

import argparse
import json
import os
import statistics
import time

import torch


def main():
    """Measures every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", required=True, help="JSON: sizes, steps, warm-up")
    sizes, steps, warm_up = json.loads(parser.parse_args().sizes)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(json.dumps([_time_layer(size, steps, warm_up) for size in sizes]))


def _time_layer(size, steps, warm_up):
    """Seconds of the median step."""
    texts, words, dim, units = size
    layer = torch.nn.LSTM(dim, units, bidirectional=True, batch_first=True)
    vectors = torch.randn(texts, words, dim, requires_grad=True)
    times = []
    for _ in range(warm_up + steps):
        layer.zero_grad()
        vectors.grad = None
        began = time.perf_counter()
        outputs, _ = layer(vectors)
        outputs.square().mean().backward()
        times.append(time.perf_counter() - began)
    return statistics.median(times[warm_up:])


if __name__ == "__main__":
    main()
