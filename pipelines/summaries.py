"""What runs say in the terminal: sizes, figures, files and what to do next."""

import shlex
from pathlib import Path
from typing import Any

from modelyard.data.images.loading import ImageSplits
from modelyard.data.texts.loading import TextSplits


def describe_splits(splits: ImageSplits) -> str:
    """Returns the sizes of the splits and what their checks found, as text."""
    height, width, channels = splits.image_shape
    return describe_sizes(splits, f"{height}x{width}x{channels}")


def describe_sizes(splits: ImageSplits | TextSplits, example: str) -> str:
    """Returns the sizes of the splits and what their checks found, as text.

    Args:
        splits: The examples.
        example: What an example is.
    """
    sizes = ", ".join(f"{name} {n:,}" for name, n in split_sizes(splits).items())
    found = "; ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in splits.findings.items()
    )
    return (
        f"{splits.spec} ({splits.card.title}): {sizes}; {splits.num_classes} classes, "
        f"{example}\nchecked: {found}"
    )


def summarise(folder: Path, metrics: dict[str, Any], exported: Path | None) -> str:
    """Returns the last words of a run: figures, files and what to do next."""
    lines = [
        describe_accuracy(metrics["test"]),
        *describe_augmented(metrics),
        describe_training(metrics["timing"]),
        *describe_outputs(folder, exported),
    ]
    return "\n".join(lines)


def describe_accuracy(test: dict[str, Any]) -> str:
    """Returns a line on the test metrics."""
    low, high = test["accuracy_interval"]
    return (
        f"Test accuracy {test['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}; "
        f"{test['num_errors']} of {test['num_examples']:,} wrong), "
        f"log loss {test['log_loss']:.4f}"
    )


def describe_augmented(metrics: dict[str, Any]) -> list[str]:
    """Returns a line on test-time augmentation, if there was any."""
    if "test_tta" not in metrics:
        return []
    accuracy = metrics["test_tta"]["accuracy"]
    return [f"  with test-time augmentation {accuracy:.2%}"]


def describe_training(timing: dict[str, Any]) -> str:
    """Returns a line on the speed of the training."""
    return (
        f"Trained {timing['epochs']} epochs in {timing['train_seconds']:.1f} s: "
        f"{timing['examples_per_second']:,.0f} examples/s, "
        f"{timing['input_wait_share']:.1%} of the time waiting for input"
    )


def describe_outputs(
    folder: Path, exported: Path | None, *, inputs: str = "IMAGE..."
) -> list[str]:
    """Returns lines on what a run has left, and what to do next.

    Args:
        folder: The run's folder.
        exported: The export, if there is one.
        inputs: What `modelyard predict` takes, as in its help.
    """
    lines = [f"Report: {folder / 'report.html'}"]
    if exported is not None:
        lines += [
            f"Export: {exported}",
            f"Predict: {predict_command(exported, inputs)}",
        ]
    return lines


def predict_command(exported: Path, inputs: str) -> str:
    """Returns the command that uses an export."""
    return f"modelyard predict {shlex.quote(str(exported))} {inputs}"


def split_sizes(splits: ImageSplits | TextSplits) -> dict[str, int]:
    """Returns the number of examples by split."""
    return {
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
    }
