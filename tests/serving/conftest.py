"""The SavedModels that the tests of `serving` use, written once a session."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_BUILDERS = Path(__file__).with_name("saved_model_builders.py")


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory):
    """A folder with one good SavedModel and many broken ones, not to be changed."""
    folder = tmp_path_factory.mktemp("saved_models")
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-W", "ignore", str(_BUILDERS), str(folder)]
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture
def good_copy(saved_models, tmp_path):
    """A copy of the good SavedModel, to break."""
    return Path(shutil.copytree(saved_models / "good", tmp_path / "copy"))
