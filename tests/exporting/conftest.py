"""What the tests of all exports share."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from modelyard.exporting import publishing
from modelyard.serving.check.rules import CheckResult


@dataclasses.dataclass(frozen=True)
class Published:
    """A published version, and what the gate found."""

    path: Path
    gate: CheckResult


@pytest.fixture(scope="session")
def publish():
    """Calls a function that exports; keeps the result of the gate."""

    def publish_with(export, *args, **kwargs):
        results = []

        def check(directory):
            results.append(checked(directory))
            return results[-1]

        checked = publishing.check_saved_model
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publishing, "check_saved_model", check)
            path = export(*args, **kwargs)
        (gate,) = results
        return Published(path, gate)

    return publish_with


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 6, 5, 1)).astype("uint8")
