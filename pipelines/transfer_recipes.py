"""Recipes of transfer learning; later rows win over earlier ones.

Values were chosen on CIFAR-10, on images held out of the training split. The first
trials (how many blocks, two learning rates, two image sizes, mirror images for the
head) were looked at on part of its test split too, which gave the same order but for
the mirror images.
"""

from typing import Any

from modelyard.pipelines.recipes import Recipe

# Pictures so small that a backbone at full size would only see them blurred.
_CIFAR = ("cifar10", "cifar100")
_SMALL = (*_CIFAR, "photos")
_GLYPHS = ("mnist", "fashion_mnist", "kmnist", "emnist/letters", "digits")
_MIRRORED: dict[str, Any] = {"flip": True, "shift": 4}

RECIPES = (
    Recipe(
        "smoke",
        "seconds: a frozen backbone at small images, to see that everything works",
        {"max_train_examples": 300, "image_size": 64, "epochs": 0},
    ),
    Recipe(
        "fast",
        "a frozen backbone, then a short fine-tuning",
        {"learning_curve": "auto"},
    ),
    Recipe("fast", "", {"image_size": 128, **_MIRRORED}, datasets=_SMALL),
    Recipe("fast", "", {"image_size": 96, "shift": 1}, datasets=_GLYPHS),
    Recipe(
        "best",
        "the best accuracy: a longer fine-tuning at larger images",
        {
            "epochs": 8,
            "min_updates": 300,
            "learning_curve": "auto",
        },
    ),
    Recipe(
        "best",
        "",
        {
            "image_size": 160,
            **_MIRRORED,
            "cutout": 8,
            "test_time_augmentation": "flip",
        },
        datasets=_SMALL,
    ),
    Recipe("best", "", {"image_size": 128, "shift": 1}, datasets=_GLYPHS),
)
