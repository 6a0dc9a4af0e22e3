"""What the tests of all exports share."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from modelyard.exporting import publishing
from modelyard.serving.check.rules import CheckResult
from modelyard.serving.native.library import NativeError


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


@pytest.fixture(scope="session")
def try_wrong_shapes():
    """Sends requests that break the signatures, and those without rows.

    A kernel that gets a wrong rank may end the process, and this test with it.
    """

    def try_all(served, rows):
        for name, signature in served.signatures.items():
            ((key, spec),) = signature.inputs.items()
            good = rows[key]
            assert served.run(name, {key: good})
            wrong = [good[0], good[None], good[..., None]]
            # Sizes that the signature fixes.
            wrong += [
                np.concatenate([good, good], axis=axis)
                for axis, size in enumerate(spec.shape)
                if size is not None
            ]
            for request in wrong:
                with pytest.raises(NativeError) as error:
                    served.run(name, {key: request})
                assert error.value.code == "INVALID_ARGUMENT", (name, request.shape)
            whole, empty = (served.run(name, {key: x}) for x in (good, good[:0]))
            assert empty.keys() == whole.keys()
            for output, array in empty.items():
                assert len(array) == 0, (name, output)
                assert array.dtype == whole[output].dtype
                assert array.ndim == whole[output].ndim

    return try_all
