"""Runs of the text pipeline that start from word vectors, in this process."""

import json

import numpy as np
import pytest
from rich.console import Console

from modelyard.data.settings import make_config
from modelyard.data.texts.examples import TextExamples
from modelyard.data.texts.token_lists import join_tokens
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.classify_text import steps
from modelyard.pipelines.classify_text.config import Config
from modelyard.pipelines.common import texts, word_vectors

from .conftest import train_text

pytestmark = pytest.mark.slow

_QUIET = Console(quiet=True)
_VERDICTS = (("dull", "stale", "tedious"), ("great", "fresh", "sublime"))
_PLACES = (("so", "yawn"), ("how", "wow"))  # Beside them, where nobody labelled.


@pytest.fixture(autouse=True)
def reviews(pose_as_imdb):
    """Labelled texts with one verdict of each class; the test texts have the others.

    Unlabelled texts have all verdicts, each among the words that go with its class.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2

    def texts(make):
        return np.array([make(label, str(i)) for i, label in enumerate(labels)], object)

    train = texts(lambda label, i: f"film {i} {_VERDICTS[label][0]}")
    test = texts(lambda label, i: f"film {i} {rng.choice(_VERDICTS[label][1:])}")
    others = texts(
        lambda label, i: (
            f"{_PLACES[label][0]} {rng.choice(_VERDICTS[label])} "
            f"{_PLACES[label][1]} {i}"
        )
    )
    parts = {
        "train": TextExamples(train, labels),
        "test": TextExamples(test, labels),
        "unsupervised": TextExamples(others, labels),
    }
    pose_as_imdb(parts)


def _config(root, **fields):
    """A small text CNN."""
    options = {
        "dataset": "imdb_reviews",
        "model": "text_cnn",
        "runs_dir": str(root / "runs"),
        "max_length": 20,
        "embedding_dim": 8,
        "learning_rate": 0.01,
        "baseline": False,
        "export": False,
    }
    return make_config(Config, options | fields)


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_words_without_labels_are_known_by_their_neighbours(tmp_path):
    random = train_text(_config(tmp_path))
    assert random.test_accuracy < 0.7
    assert not random.facts
    config = _config(tmp_path, word_vectors="cooccurrence")
    started = find_pipeline("classify-text").load().run(config, console=_QUIET)
    metrics = _metrics(started)
    assert metrics["test"]["accuracy"] > 0.9
    facts = metrics["word_vectors"]
    assert facts["words_known"] > 10
    assert facts["seconds"] > 0
    assert "Pretrained word vectors" in (started / "report.html").read_text()


def test_validation_and_test_texts_are_not_counted(tmp_path, monkeypatch):
    config = _config(tmp_path, word_vectors="cooccurrence")
    _, tokens = _tokens(config)
    monkeypatch.setattr(word_vectors, "_SHOWN_RANKS", (0, 3, 1000))
    facts, _ = _start(config, tmp_path)
    assert [len(row["nearest"]) for row in facts["neighbours"]] == [6, 6]
    assert all(row["word"].isalpha() for row in facts["neighbours"])
    assert facts["words_read"] == len(tokens.train.ids) + len(tokens.unlabelled.ids)


def test_vectors_are_kept_for_a_resumed_run(tmp_path, monkeypatch):
    config = _config(tmp_path, word_vectors="cooccurrence")
    facts, table = _start(config, tmp_path)
    vectors = np.load(tmp_path / "word_vectors.npy")
    known = vectors.any(axis=1)
    np.testing.assert_array_equal(table[known], vectors[known])
    monkeypatch.setattr(word_vectors, "count_word_vectors", None)
    again, same = _start(config, tmp_path)
    assert again == facts
    np.testing.assert_array_equal(same[known], table[known])


def _start(config, folder):
    """The facts, and the word vectors of the model."""
    splits, tokens = _tokens(config)
    options = steps.model_options(config.model, config.network, config.pretraining)
    model = steps.compile_model(config, splits, tokens, options)
    facts = word_vectors.start_from_cooccurrence(
        model,
        join_tokens([tokens.train, tokens.unlabelled]),
        tokens.vocabulary,
        seed=0,
        folder=folder,
        console=_QUIET,
    )
    (table,) = model.get_layer("embedding").get_weights()
    return facts, table


def _tokens(config):
    """The examples and their token ids."""
    splits = steps.load_splits(config)
    return splits, texts.tokenize(splits, config.data, config.pretraining)


@pytest.mark.parametrize(
    "fields", [{"model": "ngram"}, {"model": "lstm", "pretrain_epochs": 1}]
)
def test_model_that_cannot_start_from_word_vectors_is_refused(fields):
    with pytest.raises(ValueError, match="`word_vectors` must be random if"):
        make_config(Config, {"word_vectors": "cooccurrence", **fields})
