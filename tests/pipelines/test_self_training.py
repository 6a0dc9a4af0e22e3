"""Runs of the text pipeline with teachers, in this process."""

import json

import numpy as np
import pytest
from rich.console import Console

from modelyard.data.settings import make_config
from modelyard.data.texts import loading as text_loading
from modelyard.data.texts.examples import TextExamples
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.classify_text import steps
from modelyard.pipelines.classify_text.config import RECIPES, Config
from modelyard.training import self_training
from modelyard.training.run import Run

from .conftest import train_text

pytestmark = pytest.mark.slow

_QUIET = Console(quiet=True)
_KNOWN = (("dull", "stale"), ("great", "fresh"))
_NEW = ("tedious", "sublime")
_NEUTRAL = ("film", "plot", "actor", "scene", "music", "the", "a")


@pytest.fixture(autouse=True)
def reviews(pose_as_imdb, monkeypatch):
    """Labelled texts with known verdicts, others with known and new ones beside.

    The test texts have new ones only.
    """
    rng = np.random.default_rng(0)

    def examples(count, verdicts):
        labels = np.arange(count) % 2
        texts = []
        for i, label in enumerate(labels):
            words = [*rng.choice(_NEUTRAL, 6), *verdicts(label), str(i)]
            texts.append(" ".join(rng.permutation(words)))
        return TextExamples(np.array(texts, dtype=object), labels)

    parts = {
        "train": examples(120, lambda label: [rng.choice(_KNOWN[label])]),
        "test": examples(60, lambda label: [_NEW[label]]),
        "unsupervised": examples(
            200, lambda label: [rng.choice(_KNOWN[label]), _NEW[label]]
        ),
    }
    pose_as_imdb(parts)
    # Millions of rows for a few words would only take time.
    small = tuple(row for row in RECIPES if "buckets" not in row.values)
    monkeypatch.setattr(steps, "RECIPES", small)


def _config(root, **fields):
    """A small n-gram model."""
    settings = {
        "dataset": "imdb_reviews",
        "runs_dir": str(root / "runs"),
        "baseline": False,
        "export": False,
        "batch_size": 16,
        "learning_rate": 0.02,
    }
    if "model" not in fields:
        settings["buckets"] = 4096
    return make_config(Config, settings | fields)


def _begun(folder, config):
    """A run whose folder is there."""
    run = Run("classify-text", config, resumed=folder, console=_QUIET)
    run._folder = folder
    return run


def test_words_of_unlabelled_texts_are_learned_from_the_teacher(tmp_path):
    assert train_text(_config(tmp_path)).test_accuracy < 0.7
    config = _config(tmp_path, teachers=("ngram",), teacher_rounds=2)
    pipeline = find_pipeline("classify-text").load()
    taught = pipeline.run(config, console=_QUIET)
    metrics = json.loads((taught / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    assert pipeline.evaluate(taught) == metrics["test"]
    facts = metrics["teachers"]
    assert facts["models"] == ["ngram"]
    first, second = facts["validation_accuracy"]
    assert second >= max(first, 0.9)
    assert facts["validation_accuracy_of_each"] == {"ngram": second}
    labels = np.load(taught / "teacher_labels.npy")
    assert np.mean(labels == np.arange(200) % 2) > 0.9
    assert facts["texts"] == {
        "neg": int((labels == 0).sum()),
        "pos": int((labels == 1).sum()),
    }
    assert 0.5 < facts["mean_score"] <= 1
    assert facts["seconds"] > 0
    assert "Texts labelled by teachers" in (taught / "report.html").read_text()
    card = (taught / "MODEL_CARD.md").read_text()
    assert "labelled by other models (ngram)" in card


def test_model_that_starts_from_a_language_model_is_taught_too(tmp_path):
    sizes = {"embedding_dim": 8, "units": 8, "num_layers": 1, "max_length": 20}
    config = _config(
        tmp_path,
        model="lstm",
        pretrain_epochs=1,
        unfreezing="none",
        epochs=1,
        teachers=("ngram",),
        **sizes,
    )
    assert train_text(config).facts.keys() == {"teachers", "language_model"}


def test_unlabelled_texts_are_read_for_the_training_alone(tmp_path):
    config = _config(tmp_path, teachers=("ngram",))
    assert len(steps.load_splits(config).unlabelled)
    assert not len(steps.load_splits(config, with_unlabelled=False).unlabelled)


def test_labels_are_kept_for_a_resumed_run(tmp_path):
    config = _config(tmp_path, teachers=("ngram",))
    trained = train_text(config)
    assert (trained.folder / "teachers" / "ngram" / "1" / "history.csv").exists()
    assert not list(trained.folder.glob("teachers/**/checkpoints"))
    labels, facts = self_training.label_unlabelled(
        _begun(trained.folder, config),
        ("ngram",),
        None,  # Nobody is taught again.
        rounds=1,
        train_labels=np.zeros(1, int),
        validation_labels=np.zeros(1, int),
        class_names=("neg", "pos"),
    )
    np.testing.assert_array_equal(
        labels, np.load(trained.folder / "teacher_labels.npy")
    )
    assert facts == trained.facts["teachers"]


def test_teacher_has_its_own_recipe_and_the_same_examples(tmp_path):
    config = _config(
        tmp_path,
        model="text_cnn",
        teachers=("ngram", "lstm"),
        word_vectors="cooccurrence",
        seed=3,
        epochs=7,
    )
    teacher = steps.teacher_config(config, "ngram")
    assert (teacher.model, teacher.pretraining.teachers) == ("ngram", ())
    assert (teacher.dataset, teacher.seed) == ("imdb_reviews", 3)
    assert teacher.training.naive_bayes
    assert teacher.epochs == 2
    assert teacher.pretraining.word_vectors == "random"
    lstm = steps.teacher_config(config, "lstm")
    assert lstm.pretraining.word_vectors == "cooccurrence"


def test_teachers_label_by_their_mean_scores(tmp_path):
    scores = {
        "ngram": np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]),
        "text_cnn": np.array([[0.2, 0.8], [0.3, 0.7], [0.8, 0.2]]),
    }
    validation = {
        "ngram": np.array([[0.9, 0.1], [0.4, 0.6]]),
        "text_cnn": np.array([[0.4, 0.6], [0.7, 0.3]]),
    }
    labels, facts = self_training.label_unlabelled(
        _begun(tmp_path, _config(tmp_path)),
        ("ngram", "text_cnn"),
        lambda name, *_: (validation[name], scores[name]),
        rounds=1,
        train_labels=np.array([0, 1]),
        validation_labels=np.array([0, 1]),
        class_names=("neg", "pos"),
    )
    np.testing.assert_array_equal(labels, [0, 1, 0])
    assert facts["models"] == ["ngram", "text_cnn"]
    assert facts["validation_accuracy"] == [0.5]
    assert facts["validation_accuracy_of_each"] == {"ngram": 1.0, "text_cnn": 0.0}
    assert facts["mean_score"] == pytest.approx(np.mean([0.55, 0.65, 0.6]))


def test_teacher_starts_from_word_vectors_too(tmp_path):
    config = _config(
        tmp_path,
        model="text_cnn",
        teachers=("ngram", "text_cnn"),
        word_vectors="cooccurrence",
        max_length=20,
        epochs=1,
    )
    trained = train_text(config)
    assert trained.facts.keys() == {"teachers", "word_vectors"}
    vectors = trained.folder / "teachers" / "text_cnn" / "1" / "word_vectors.npy"
    assert np.load(vectors).any()


def test_data_set_without_unlabelled_texts_is_refused(tmp_path, monkeypatch):
    load = text_loading._load_source
    monkeypatch.setattr(
        text_loading,
        "_load_source",
        lambda spec, folder, **_: load(spec, folder, with_unlabelled=False),
    )
    message = "`teachers` need a data set with unlabelled texts.*teachers=ngram"
    with pytest.raises(ValueError, match=message):
        train_text(_config(tmp_path, teachers=("ngram",)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teachers": ("ngrams",)}, r"`teachers` must be one of .* mean ngram"),
        ({"teachers": ("gru", "gru")}, "`teachers` must be different models"),
        (
            {"teachers": ("ngram",), "teacher_rounds": 0},
            "`teacher_rounds` must be at least 1",
        ),
        ({"teacher_rounds": 2}, "`teacher_rounds` must be 1 without teachers"),
    ],
)
def test_teacher_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_config(Config, fields)
