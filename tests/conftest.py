"""What all tests share: real data where it is, and no state left behind."""

import os

import keras
import pytest

from modelyard.data.catalogue import CATALOGUE, is_present, tfds_data_dir

_REAL = ("mnist", "cifar10")


def pytest_runtest_setup(item):
    """Skips tests on real data that is not here, unless it has to be."""
    if item.get_closest_marker("real_data") is None:
        return
    folder = tfds_data_dir()
    cards = [card for card in CATALOGUE if card.name in _REAL]
    missing = [card.name for card in cards if not is_present(card, folder)]
    if missing:
        message = f"needs {' and '.join(missing)}, prepared in {folder}"
        if os.environ.get("MODELYARD_REQUIRE_REAL_DATA"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(autouse=True)
def _float32_policy():
    """Every test begins and ends with the default dtype policy."""
    yield
    assert keras.config.dtype_policy().name == "float32"
