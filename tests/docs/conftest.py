import json

import keras
import numpy as np
import pytest
from rich.console import Console

from modelyard.data.settings import make_config
from modelyard.models import build_recurrent_language_model

_LOADERS = ("cifar10", "cifar100", "mnist", "fashion_mnist", "imdb", "reuters")
_WORDS = ["", "[UNK]", "the", "of", "one", "best", "film"]


@pytest.fixture(scope="session")
def finished_documented_run(tmp_path_factory):
    """A small run of `classify-images` with its export."""
    from modelyard.pipelines.classify_images.config import Config
    from modelyard.pipelines.classify_images.run import run

    root = tmp_path_factory.mktemp("documented")
    values = {
        "dataset": "digits",
        "model": "perceptron",
        "recipe": "smoke",
        "epochs": 1,
        "max_train_examples": 200,
        "runs_dir": str(root / "runs"),
        "saved_models_dir": str(root / "saved_models"),
    }
    return run(make_config(Config, values), console=Console(quiet=True)), root


@pytest.fixture
def documented_python(tmp_path, monkeypatch):
    """Makes the Python of the documentation quick, and gives it a folder and a run."""
    rng = np.random.default_rng(0)

    def load_small():
        images = rng.integers(0, 256, (20, 32, 32, 3), np.uint8)
        labels = rng.integers(0, 10, (20, 1), np.uint8)
        return (images, labels), (images[:5], labels[:5])

    def refuse():
        raise AssertionError("this loader has no small arrays in tests/docs")

    for name in _LOADERS:
        loader = load_small if name == "cifar10" else refuse
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", loader)
    fit = keras.Model.fit

    def fit_briefly(self, *args, **options):
        self.run_eagerly = True  # Tracing takes longer than a step.
        return fit(self, *args, **{**options, "epochs": 1, "verbose": 0})

    monkeypatch.setattr(keras.Model, "fit", fit_briefly)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RUN").mkdir()
    model = build_recurrent_language_model(
        len(_WORDS), embedding_dim=4, units=4, num_layers=1
    )
    model.save("RUN/language_model.keras")
    (tmp_path / "RUN" / "vocabulary.json").write_text(json.dumps(_WORDS))
