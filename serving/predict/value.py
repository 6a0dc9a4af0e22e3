"""Answers of kind `value`: one number for each input."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.serving.native.tensors import Signature
from modelyard.serving.predict.answer import find_output, wrong_output


@dataclasses.dataclass(frozen=True)
class ValueAnswer:
    """The value predicted for one input.

    Attributes:
        input: The text or the file; a row of an array file is `x.npy[3]`.
        value: The value; None if there is an error.
        unit: Its unit, if the export names one.
        error: Why there is no answer; empty if there is one.
    """

    input: str
    value: float | None = None
    unit: str = ""
    error: str = ""

    def describe(self) -> str:
        """Returns `INPUT: 12.3 UNIT`, or the error."""
        if self.error or self.value is None:
            return self.error
        # Six digits are about what float32 holds; `g` alone would write a price
        # of 2,500,000 as 2.5e+06.
        form = ".0f" if 1e6 <= abs(self.value) < 1e15 else ".6g"
        return f"{self.input}: {self.value:{form}} {self.unit}".rstrip()


def read(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
    *,
    unit: str = "",
) -> list[ValueAnswer]:
    """Reads the value of each row.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Float `value` `[n]` or `[n, 1]` (or the only output, whatever its
            name).
        inputs: Names of the `n` inputs.
        unit: Unit of the values.

    Returns:
        An answer for each row.

    Raises:
        ValueError: If there is no such output.
    """
    values = find_output(outputs, "value")
    if (
        values is None
        or values.dtype.kind != "f"
        or values.shape not in ((len(inputs),), (len(inputs), 1))
    ):
        raise wrong_output(name, "float `value` [n] or [n, 1]", signature)
    return [
        ValueAnswer(label, value, unit)
        for label, value in zip(inputs, values.ravel().tolist(), strict=True)
    ]
