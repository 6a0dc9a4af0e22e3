"""What an export answers, as ranked classes."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.serving.native.tensors import Signature

_NUM_TOP = 5


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer for one input.

    Attributes:
        input: The text, or the file; with the row in brackets for arrays, as in
            `x.npy[3]`.
        label: The class with the highest score; None if there is an error.
        score: Its score.
        top: The five best `(label, score)`, best first.
        error: Why there is no answer; empty if there is one.
    """

    input: str
    label: str | None = None
    score: float | None = None
    top: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    error: str = ""


def rank_classes(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
) -> list[Prediction]:
    """Ranks the classes of each row that a signature has answered.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Float `scores` `[n, k]` or the only output, and perhaps string
            `classes` `[n, k]`.
        inputs: What the `n` inputs are called.

    Returns:
        A prediction for each row.

    Raises:
        ValueError: If there are no scores.
    """
    scores = outputs.get("scores")
    if scores is None and len(outputs) == 1:
        (scores,) = outputs.values()
    if scores is None or scores.ndim != 2 or scores.dtype.kind != "f":
        raise ValueError(f"`{name}` gives no scores per class, but {signature}.")
    classes = outputs.get("classes")
    predictions = []
    for row, label in enumerate(inputs):
        best = np.argsort(-scores[row], kind="stable")[:_NUM_TOP]
        top = [
            (_class_name(classes, row, index), float(scores[row, index]))
            for index in best.tolist()
        ]
        predictions.append(Prediction(label, top[0][0], top[0][1], top))
    return predictions


def _class_name(classes: np.ndarray | None, row: int, index: int) -> str:
    """Returns the name of a class, or its index where the export has no names."""
    if classes is None:
        return str(index)
    return classes[row, index].decode(errors="replace")
