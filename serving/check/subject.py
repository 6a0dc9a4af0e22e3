"""What the checks have learned about one SavedModel so far."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.serving.native.loader import NativeModel
from modelyard.serving.native.tensors import Signature, read_signatures


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint.

    Attributes:
        name: Its key.
        num_bytes: Its size.
        content: Dtype, shape and hash of the values; None if they are few or all
            equal, because two such tensors may be equal by chance.
    """

    name: str
    num_bytes: int
    content: tuple | None


@dataclasses.dataclass(frozen=True)
class Request:
    """Inputs for one signature.

    Attributes:
        source: `"golden"`, `"warm-up"` or `"made-up"`.
        inputs: An array for each input.
        may_be_rejected: Whether a rejection proves nothing, because a made-up
            input may be invalid.
    """

    source: str
    inputs: dict[str, np.ndarray]
    may_be_rejected: bool = False


@dataclasses.dataclass
class Subject:
    """One SavedModel being checked; each check adds what it has learned.

    Attributes:
        directory: The version directory.
        meta_graphs: All graphs (`MetaGraphDef` messages) of the file.
        meta_graph: The graph with the tag `serve`.
        weights: Tensors of the checkpoint.
        model: The model in the C++ runtime.
        requests: A request for each signature.
        outputs: Answers to these requests, by signature.
    """

    directory: Path
    meta_graphs: list[Any] = dataclasses.field(default_factory=list)
    meta_graph: Any = None
    weights: list[StoredTensor] = dataclasses.field(default_factory=list)
    model: NativeModel | None = None
    requests: dict[str, Request] = dataclasses.field(default_factory=dict)
    outputs: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)

    @property
    def signatures(self) -> dict[str, Signature]:
        """The signatures that clients can call."""
        return read_signatures(self.meta_graph)
