"""The peer of the CIFAR-10 figures: the recipe airbench94 in PyTorch on a CPU.

Written from the description in [Jordan, 2024](https://arxiv.org/abs/2404.00498): a
frozen whitening convolution, three blocks of two convolutions, SGD with Nesterov
momentum and lookahead, alternating flip, and six views at test time. Here it runs in
bfloat16 autocast with channels last. Needs PyTorch and NumPy only; reads an `.npz`
with `x_train`, `x_test` (uint8 `(n, 32, 32, 3)`) and `y_train`, `y_test`, and prints
one line of JSON. `seconds` run from building the model to the last step.
"""

import argparse
import contextlib
import copy
import json
import math
import os
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own abbreviation.

_MEAN = (0.4914, 0.4822, 0.4465)
_STD = (0.2470, 0.2435, 0.2616)
_BATCH = 1024
_MOMENTUM = 0.85
_KILOSTEP = 1024 * (1 + 1 / (1 - _MOMENTUM))
_LEARNING_RATE = 11.5 / _KILOSTEP
_WEIGHT_DECAY = 0.0153 * 1024 / _KILOSTEP
_BIAS_SCALER = 64.0  # Of the learning rate of the normalisations' biases.
_LOOKAHEAD_STEPS = 5
_WHITENING_BIAS_EPOCHS = 3


def main():
    """Trains and tests once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the .npz file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=9.9)
    parser.add_argument(
        "--max-steps", type=int, help="time only this many steps, without a test"
    )
    parser.add_argument(
        "--precision", choices=["bfloat16", "float32"], default="bfloat16"
    )
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    torch.manual_seed(arguments.seed)
    with np.load(arguments.data) as arrays:
        data = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    precision = getattr(torch, arguments.precision)

    began = time.perf_counter()
    model = _build(data["x_train"])
    step_seconds = _train(
        model,
        data["x_train"],
        data["y_train"].long(),
        epochs=arguments.epochs,
        max_steps=arguments.max_steps,
        precision=precision,
    )
    record = {
        "seconds": time.perf_counter() - began,
        # The first step also plans the convolutions.
        "images_per_second": _BATCH * (len(step_seconds) - 1) / sum(step_seconds[1:]),
        "steps": len(step_seconds),
    }
    if arguments.max_steps is None:
        began = time.perf_counter()
        plain, augmented = _test(model, data["x_test"], precision)
        labels = data["y_test"]
        record["evaluate_seconds"] = time.perf_counter() - began
        record["accuracy"] = (plain.argmax(1) == labels).double().mean().item()
        record["accuracy_tta"] = (augmented.argmax(1) == labels).double().mean().item()
    print(
        json.dumps(
            {
                **record,
                "precision": arguments.precision,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


def _build(images):
    """The network, its first layer whitened by the images."""
    whitening = nn.Conv2d(3, 24, 2)
    whitening.weight.requires_grad = False
    whitening.weight.data = _whitening_filters(images[:5000])
    nn.init.zeros_(whitening.bias)
    model = nn.Sequential(
        whitening,
        nn.GELU(),
        *_block(24, 64),
        *_block(64, 256),
        *_block(256, 256),
        nn.MaxPool2d(3),
        nn.Flatten(),
        nn.Linear(256, 10, bias=False),
    )
    return model.to(memory_format=torch.channels_last)


def _whitening_filters(images):
    """Scaled eigenvectors of all 2x2 patches, and their negatives: `(24, 3, 2, 2)`."""
    patches = _normalise(images.permute(0, 3, 1, 2)).unfold(2, 2, 1).unfold(3, 2, 1)
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    return torch.cat([filters, -filters])


def _block(inputs, filters):
    """Two convolutions, the first one pooled."""
    return [
        _convolution(inputs, filters),
        nn.MaxPool2d(2),
        _normalisation(filters),
        nn.GELU(),
        _convolution(filters, filters),
        _normalisation(filters),
        nn.GELU(),
    ]


def _convolution(inputs, filters):
    """A 3x3 convolution whose first filters pass their inputs on."""
    layer = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


def _normalisation(filters):
    """Batch normalisation without a trained scale."""
    layer = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def _train(model, images, labels, *, epochs, max_steps, precision):
    """Trains the model; returns the seconds of every step."""
    steps_per_epoch = len(images) // _BATCH
    total = math.ceil(steps_per_epoch * epochs)
    optimizer, schedule = _optimizer(model, total)
    averages = copy.deepcopy(_floats(model))
    batches = _batches(images, labels, steps_per_epoch)
    seconds = []
    model.train()
    for step in range(min(total, max_steps or total)):
        began = time.perf_counter()
        model[0].bias.requires_grad = step < _WHITENING_BIAS_EPOCHS * steps_per_epoch
        pixels, targets = next(batches)
        logits = _logits(model, pixels, precision)
        loss = F.cross_entropy(logits, targets, label_smoothing=0.2, reduction="sum")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % _LOOKAHEAD_STEPS == 0:
            decay = 0.95**_LOOKAHEAD_STEPS * ((step + 1) / total) ** 3
            _look_ahead(model, averages, decay)
        seconds.append(time.perf_counter() - began)
    _look_ahead(model, averages, 1.0)
    return seconds


def _optimizer(model, total):
    """SGD in decoupled form, with a triangular schedule."""
    biases = [layer.bias for layer in model if isinstance(layer, nn.BatchNorm2d)]
    fixed = {id(parameter) for parameter in biases}
    others = [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad and id(parameter) not in fixed
    ]
    groups = [
        # PyTorch multiplies the decay by the learning rate: divided out here.
        {"params": parameters, "lr": rate, "weight_decay": _WEIGHT_DECAY / rate}
        for parameters, rate in (
            (biases, _LEARNING_RATE * _BIAS_SCALER),
            (others, _LEARNING_RATE),
        )
    ]
    optimizer = torch.optim.SGD(groups, momentum=_MOMENTUM, nesterov=True)
    corners = [0, int(0.23 * total), total]

    def factor(step):
        return float(np.interp(step, corners, [0.2, 1.0, 0.07]))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _floats(model):
    """All weights and running statistics."""
    return {
        name: value
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }


def _look_ahead(model, averages, decay):
    """Moves the averages towards the network, and the network to the averages."""
    for name, value in _floats(model).items():
        averages[name].lerp_(value, 1 - decay)
        value.copy_(averages[name])


def _batches(images, labels, steps_per_epoch):
    """Endless shuffled batches: random crops, and flips that alternate by epoch."""
    images = images.permute(0, 3, 1, 2)
    mirrored = torch.rand(len(images)) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    padded = F.pad(images.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    windows = padded.unfold(2, 32, 1).unfold(3, 32, 1)  # (n, 3, 5, 5, 32, 32)
    epoch = 0
    while True:
        order = torch.randperm(len(images))
        for step in range(steps_per_epoch):
            chosen = order[step * _BATCH : (step + 1) * _BATCH]
            top, left = torch.randint(5, (2, _BATCH))
            pixels = windows[chosen, :, top, left]
            if epoch % 2:
                pixels = pixels.flip(-1)
            yield _normalise(pixels), labels[chosen]
        epoch += 1


def _normalise(pixels):
    """From uint8 to zero mean and unit variance, channels last in memory."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return (pixels.float() / 255 - mean) / std


def _logits(model, pixels, precision):
    """Scaled float32 logits."""
    mixed = (
        torch.autocast("cpu", precision)
        if precision == torch.bfloat16
        else contextlib.nullcontext()
    )
    with mixed:
        return model(pixels).float() / 9


@torch.no_grad()
def _test(model, images, precision):
    """Logits of the plain pictures, and averaged over six views."""
    model.eval()
    plain, augmented = [], []
    for part in images.permute(0, 3, 1, 2).split(2000):
        pixels = _normalise(part)
        padded = F.pad(pixels, (1, 1, 1, 1), mode="reflect")
        views = (
            (pixels, 0.5),
            (padded[..., :32, :32], 0.25),
            (padded[..., 2:, 2:], 0.25),
        )
        plain.append(_logits(model, pixels, precision))
        augmented.append(
            sum(
                weight * _logits(model, view, precision) / 2
                for still, weight in views
                for view in (still, still.flip(-1))
            )
        )
    return torch.cat(plain), torch.cat(augmented)


if __name__ == "__main__":
    main()
