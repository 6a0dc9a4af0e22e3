"""What the answers of every kind have in common."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from modelyard.serving.native.tensors import Signature


class Answer(Protocol):
    """The answer for one input: a frozen dataclass for each kind.

    `dataclasses.asdict` returns only what JSON can hold.
    """

    @property
    def input(self) -> str:
        """The text or the file; a row of an array file is `x.npy[3]`."""

    @property
    def error(self) -> str:
        """Why there is no answer; empty if there is one."""

    def describe(self) -> str:
        """Returns the line that a terminal shows; for a failure, its error."""


def find_output(outputs: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    """Finds the output that holds the answer.

    Args:
        outputs: The outputs of a signature by name.
        name: The usual name of the output.

    Returns:
        The output of this name, or the only output; otherwise None.
    """
    if name not in outputs and len(outputs) == 1:
        return next(iter(outputs.values()))
    return outputs.get(name)


def wrong_output(name: str, rule: str, signature: Signature) -> ValueError:
    """Makes the error for a signature whose outputs do not fit the kind.

    Args:
        name: Name of the signature.
        rule: What it must return.
        signature: Its inputs and outputs.

    Returns:
        The error, to be raised.
    """
    return ValueError(f"`{name}` must return {rule}. Received: {signature}")
