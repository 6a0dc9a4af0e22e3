import contextlib
import functools

import keras
import pytest

from .cases import CASES, fill


@contextlib.contextmanager
def _policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture
def mixed_bfloat16():
    with _policy("mixed_bfloat16"):
        yield


def _build(case):
    keras.utils.set_random_seed(0)
    model = CASES[case]()
    fill(model)
    return model


@pytest.fixture(scope="session")
def build_filled():
    """Builds a case of its own, for tests that change it."""
    return _build


@pytest.fixture(scope="session")
def shared():
    """Builds each case once, in float32, for tests that leave it as it is."""

    @functools.cache
    def build(case):
        with _policy("float32"):
            return _build(case)

    return build
