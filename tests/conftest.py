"""What all tests share: real data where it is, and no state left behind."""

import os

# As the command line has it; TensorFlow reads it when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import pytest

from modelyard.data.catalogue import CATALOGUE, is_present, tfds_data_dir


def pytest_runtest_setup(item):
    """Skips tests on real data that is not here, unless it has to be."""
    marker = item.get_closest_marker("real_data")
    if marker is None:
        return
    folder = tfds_data_dir()
    names = marker.args or ("mnist", "cifar10")
    cards = [card for card in CATALOGUE if card.name in names]
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
