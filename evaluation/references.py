"""Published test accuracies to hold ours against."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Reference:
    """A published accuracy on the same test split.

    Attributes:
        name: The model or method.
        accuracy: In [0, 1].
        source: Where it was published, as text.
        url: Address of the source, `http://` or `https://`.
        num_examples: Test examples behind it; `None` takes it as exact.
    """

    name: str
    accuracy: float
    source: str
    url: str
    num_examples: int | None = None


_LECUN = (
    "LeCun et al., Gradient-based learning applied to document recognition, 1998",
    "https://doi.org/10.1109/5.726791",
)
_SIMARD = (
    "Simard et al., Best practices for convolutional neural networks, 2003",
    "https://doi.org/10.1109/ICDAR.2003.1227801",
)
_KERAS_IO = (
    "Keras examples, mnist_convnet, as measured in benchmarks/results/mnist.json",
    "https://keras.io/examples/vision/mnist_convnet/",
)
_HE = (
    "He et al., Deep residual learning for image recognition, 2016",
    "https://arxiv.org/abs/1512.03385",
)
_JORDAN = (
    "Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, 2024",
    "https://arxiv.org/abs/2404.00498",
)


# By data set and model; all on the official test split of 10,000 images.
_REFERENCES = {
    ("mnist", "perceptron"): Reference("linear classifier", 0.880, *_LECUN, 10_000),
    ("mnist", "mlp"): Reference("MLP, 800 hidden units", 0.984, *_SIMARD, 10_000),
    ("mnist", "lenet"): Reference("LeNet-5", 0.9905, *_LECUN, 10_000),
    ("mnist", "convnet"): Reference("two-layer convnet", 0.9912, *_KERAS_IO, 10_000),
    ("cifar10", "residual_cnn"): Reference("ResNet-20", 0.9125, *_HE, 10_000),
    ("cifar10", "fast_cifar_net"): Reference("airbench94", 0.9401, *_JORDAN, 10_000),
}


def find_references(dataset: str, model: str) -> list[Reference]:
    """Returns the published accuracies of such a model on a data set."""
    found = _REFERENCES.get((dataset, model))
    return [found] if found else []
