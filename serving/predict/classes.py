"""Answers of kind `classes`: the classes with the highest scores."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.serving.native.tensors import Signature
from modelyard.serving.predict.answer import find_output, wrong_output

_NUM_TOP = 5
_NUM_OTHERS = 2  # Shown after the best class.


@dataclasses.dataclass(frozen=True)
class ClassAnswer:
    """The class of one input.

    Attributes:
        input: The text or the file; a row of an array file is `x.npy[3]`.
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

    def describe(self) -> str:
        """Returns `INPUT: LABEL 0.987 (other 0.010, ...)`, or the error."""
        if self.error:
            return self.error
        others = ", ".join(
            f"{label} {score:.3f}" for label, score in self.top[1 : 1 + _NUM_OTHERS]
        )
        return f"{self.input}: {self.label} {self.score:.3f} ({others})"


def read(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
    *,
    class_names: Sequence[str] = (),
) -> list[ClassAnswer]:
    """Ranks the classes of each row.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Float `scores` `[n, k]` (or the only output, whatever its name)
            for two or more classes; string `classes` `[n, k]` if the export has
            them.
        inputs: Names of the `n` inputs.
        class_names: Names of the `k` classes for exports without `classes`. If
            there are none, classes are named by their index.

    Returns:
        An answer for each row.

    Raises:
        ValueError: If there are no such outputs.
    """
    scores = find_output(outputs, "scores")
    # A single column is a regression or the probability of an unnamed class.
    if (
        scores is None
        or scores.ndim != 2
        or scores.dtype.kind != "f"
        or len(scores) != len(inputs)
        or scores.shape[1] < 2
    ):
        rule = "float `scores` [n, k] for two or more classes"
        raise wrong_output(name, rule, signature)
    num_classes, classes = scores.shape[1], outputs.get("classes")
    if classes is not None:
        if classes.dtype != np.object_ or classes.shape != scores.shape:
            rule = "string `classes` of the shape of `scores`"
            raise wrong_output(name, rule, signature)
        names = [[label.decode(errors="replace") for label in row] for row in classes]
    elif len(class_names) == num_classes:
        names = [list(class_names)] * len(scores)
    else:
        names = [[str(index) for index in range(num_classes)]] * len(scores)
    answers = []
    for row, row_names, label in zip(scores, names, inputs, strict=True):
        best = np.argsort(-row, kind="stable")[:_NUM_TOP].tolist()
        top = [(row_names[index], float(row[index])) for index in best]
        answers.append(ClassAnswer(label, *top[0], top))
    return answers
