"""The PyTorch half of `conv_rate.py`; prints one line of JSON.

The tensors are channels last, as PyTorch's CPU convolutions want them.
"""

import argparse
import json
import os
import time

import torch


def main():
    """Times the convolutions of `--shapes`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", required=True, help="JSON: [[side, in, out], ...]")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    seconds = {
        precision: [
            _times(shape, arguments.batch_size, precision, arguments.repeats)
            for shape in json.loads(arguments.shapes)
        ]
        for precision in ("bfloat16", "float32")
    }
    print(json.dumps({"seconds": seconds, "version": torch.__version__}))


@torch.inference_mode()
def _times(shape, batch_size, precision, repeats):
    """Seconds of each call; the first ones, which plan, do not count."""
    side, inputs, filters = shape
    options = {"dtype": getattr(torch, precision)}
    pixels = torch.randn(batch_size, inputs, side, side, **options)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(inputs, filters, 3, padding=1, bias=False, **options)
    layer = layer.to(memory_format=torch.channels_last)
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        layer(pixels)
        times.append(time.perf_counter() - began)
    return times[2:]


if __name__ == "__main__":
    main()
