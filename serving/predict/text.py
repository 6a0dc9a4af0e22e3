"""Answers of kind `text`: one text for each input."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.serving.native.tensors import Signature
from modelyard.serving.predict.answer import find_output, wrong_output


@dataclasses.dataclass(frozen=True)
class TextAnswer:
    """The text written for one input.

    Attributes:
        input: The text or the file; a row of an array file is `x.npy[3]`.
        text: The text; None if there is an error.
        error: Why there is no answer; empty if there is one.
    """

    input: str
    text: str | None = None
    error: str = ""

    def describe(self) -> str:
        """Returns `INPUT: TEXT` on one line, or the error."""
        if self.error or self.text is None:
            return self.error
        return f"{self.input}: {' '.join(self.text.split())}"


def read(
    name: str,
    signature: Signature,
    outputs: Mapping[str, np.ndarray],
    inputs: Sequence[str],
) -> list[TextAnswer]:
    """Reads the text of each row.

    Args:
        name: Name of the signature.
        signature: Its inputs and outputs.
        outputs: Strings `text` `[n]` in UTF-8 (or the only output, whatever its
            name).
        inputs: Names of the `n` inputs.

    Returns:
        An answer for each row.

    Raises:
        ValueError: If there is no such output.
    """
    texts = find_output(outputs, "text")
    if texts is None or texts.dtype != np.object_ or texts.shape != (len(inputs),):
        raise wrong_output(name, "string `text` [n]", signature)
    return [
        TextAnswer(label, text.decode(errors="replace"))
        for label, text in zip(inputs, texts, strict=True)
    ]
