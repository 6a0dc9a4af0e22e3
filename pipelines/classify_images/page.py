"""The report of `classify-images`: the page of any image classifier, as it is."""

from modelyard.pipelines.common.classification import (
    classification_page,
    describe_accuracy,
    describe_augmented,
)
from modelyard.pipelines.common.finish import describe_training

__all__ = ["classification_page", "summarise"]


def summarise(metrics: dict) -> list[str]:
    """Returns the lines that end a run: accuracy and speed."""
    return [
        describe_accuracy(metrics["test"]),
        *describe_augmented(metrics),
        describe_training(metrics["timing"]),
    ]
