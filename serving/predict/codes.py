"""Answers of kind `codes`: a vector of numbers for each input."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.serving.native.tensors import Signature
from modelyard.serving.predict.answer import find_output, wrong_output

_NUM_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class CodesAnswer:
    """The codes of one input.

    Attributes:
        input: The text or the file; a row of an array file is `x.npy[3]`.
        codes: All numbers; empty if there is an error.
        error: Why there is no answer; empty if there is one.
    """

    input: str
    codes: list[float] = dataclasses.field(default_factory=list)
    error: str = ""

    def describe(self) -> str:
        """Returns `INPUT: 32 numbers: 0.12, -1.3, ...`, or the error."""
        if self.error:
            return self.error
        shown = [f"{number:.3g}" for number in self.codes[:_NUM_SHOWN]]
        if len(self.codes) > _NUM_SHOWN:
            shown.append("...")
        return f"{self.input}: {len(self.codes)} numbers: {', '.join(shown)}"


def read(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
) -> list[CodesAnswer]:
    """Reads the codes of each row.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Floats or integers `codes` `[n, d]` (or the only output, whatever
            its name).
        inputs: Names of the `n` inputs.

    Returns:
        An answer for each row.

    Raises:
        ValueError: If there is no such output.
    """
    codes = find_output(outputs, "codes")
    if (
        codes is None
        or codes.dtype.kind not in "fiu"
        or codes.ndim != 2
        or len(codes) != len(inputs)
    ):
        raise wrong_output(name, "numbers `codes` [n, d]", signature)
    return [
        CodesAnswer(label, row)
        for label, row in zip(inputs, codes.tolist(), strict=True)
    ]
