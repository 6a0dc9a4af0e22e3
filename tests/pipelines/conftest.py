"""Small, real runs that many tests look at, and helpers that several files share."""

import contextlib
import dataclasses
import fcntl
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from modelyard.data.catalogue import find_card
from modelyard.data.texts import loading as text_loading
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.classify_text import steps as text_steps
from modelyard.pipelines.common import texts
from modelyard.pipelines.common.command import parse_config
from modelyard.training.run import open_run

GOOD = ("great", "moving", "wonderful", "fresh")
BAD = ("dull", "awful", "noisy", "stale")
NEUTRAL = ("film", "plot", "actor", "scene", "music", "the", "a")
DIGITS = ("--dataset", "digits", "--recipe", "smoke")
PHOTOS = ("--dataset", "photos", "--recipe", "smoke")

# The flags of a small run of each pipeline.
SAMPLES = {
    "classify-images": (*DIGITS, "--max-train-examples", "256", "--epochs", "2"),
    "transfer-images": (
        *(*DIGITS, "--max-train-examples", "64", "--weights", "none"),
        *("--image-size", "32", "--epochs", "2", "--min-updates", "0"),
        *("--batch-size", "16", "--unfreeze-blocks", "1", "--flip"),
        *("--learning-curve", "20"),
    ),
    "classify-text": (
        *("--dataset", "csv:{root}/reviews.csv?text=review&label=verdict"),
        *("--validation-share", "0.2", "--epochs", "3"),
    ),
    "encode-images": (*DIGITS, "--code-size", "8", "--epochs", "4"),
    "denoise-images": (
        *(*DIGITS, "--model", "denoising_autoencoder", "--epochs", "2"),
        *("--evaluate-on", "photos", "--baseline-examples", "4"),
    ),
    "colorize-images": (*PHOTOS, "--epochs", "2"),
    "enhance-images": (*PHOTOS, "--epochs", "2", "--scale", "3"),
}


@dataclasses.dataclass(frozen=True)
class Sample:
    """A finished run.

    Attributes:
        pipeline: Name of the pipeline.
        folder: Folder of the run.
        root: Folder with `runs` and `saved_models`.
        arguments: The arguments it was started with.
    """

    pipeline: str
    folder: Path
    root: Path
    arguments: tuple[str, ...]

    @property
    def export(self):
        """Directory of the published version."""
        return Path(self.read("export.json")["path"])

    def read(self, name):
        """Content of a JSON file of the run."""
        return json.loads((self.folder / name).read_text())


def run_in(root, pipeline, *flags, resume=None):
    """Runs a pipeline in this process; returns the folder of the run."""
    config, _ = parse_config(find_pipeline(pipeline), arguments_in(root, *flags))
    return (
        find_pipeline(pipeline)
        .load()
        .run(config, resume=resume, console=Console(quiet=True))
    )


def arguments_in(root, *flags):
    """Flags as text, with both output folders below `root`."""
    outputs = ("--runs-dir", root / "runs", "--saved-models-dir", root / "saved_models")
    return tuple(str(flag) for flag in (*flags, *outputs))


def write_reviews(path, count=300):
    """Writes made-up reviews whose class a single word decides."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        words = [*rng.choice(NEUTRAL, rng.integers(3, 40))]
        words.insert(rng.integers(len(words)), rng.choice((BAD, GOOD)[i % 2]))
        rows.append({"review": " ".join(words), "verdict": ("bad", "good")[i % 2]})
    pd.DataFrame(rows).to_csv(path, index=False)


@dataclasses.dataclass(frozen=True)
class TrainedText:
    """A text classifier trained without report and export.

    Attributes:
        folder: Folder of the run.
        model: The trained model.
        progress: Its history.
        facts: What it started from.
        test_accuracy: Share of test texts that it classifies correctly.
    """

    folder: Path
    model: object
    progress: object
    facts: dict
    test_accuracy: float


def train_text(config, resume=None):
    """Trains a text classifier as a run does, without report and export."""
    console = Console(quiet=True)
    with open_run("classify-text", config, resume=resume, console=console) as run:
        config = run.config
        options = text_steps.model_options(
            config.model, config.network, config.pretraining
        )
        splits = text_steps.load_splits(config)
        tokens = texts.tokenize(splits, config.data, config.pretraining)
        model = text_steps.compile_model(config, splits, tokens, options)
        run.begin(model)
        progress, facts = text_steps.train(run, config, splits, tokens, model, options)
        scores = texts.predict_scores(
            model,
            tokens.test,
            texts.batch_limits(config.training.batch_words, config.batch_size),
        )
    accuracy = np.mean(scores.argmax(axis=-1) == splits.test.labels)
    return TrainedText(run.folder, model, progress, facts, float(accuracy))


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory):
    """A folder that all test processes of this session share."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "samples"
    root.mkdir(exist_ok=True)
    return root


@contextlib.contextmanager
def _lock(path):
    """Waits until no other process is inside."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def sample(shared_root):
    """A function that gives the finished run of a pipeline, made once per session."""

    def get(pipeline):
        root = shared_root / pipeline
        root.mkdir(exist_ok=True)
        flags = [flag.format(root=root) for flag in SAMPLES[pipeline]]
        done = root / "folder.txt"
        with _lock(root / "lock"):
            if not done.exists():
                write_reviews(root / "reviews.csv")
                done.write_text(str(run_in(root, pipeline, *flags)))
        folder = Path(done.read_text())
        return Sample(pipeline, folder, root, arguments_in(root, *flags))

    return get


@pytest.fixture(scope="session")
def reviews_table(shared_root):
    """Spec of a table of made-up reviews."""
    path = shared_root / "reviews.csv"
    with _lock(shared_root / "lock"):
        if not path.exists():
            write_reviews(path)
    return f"csv:{path}?text=review&label=verdict"


@pytest.fixture
def pose_as_imdb(monkeypatch):
    """A function that makes examples by split the content of `imdb_reviews`."""

    def pose(parts):
        def load(spec, data_dir, *, with_unlabelled):
            del spec, data_dir
            names = [n for n in parts if n != "unsupervised" or with_unlabelled]
            return find_card("imdb_reviews"), {name: parts[name] for name in names}

        monkeypatch.setattr(text_loading, "_load_source", load)

    return pose
