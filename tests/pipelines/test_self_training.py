"""Runs of the text pipeline with teachers, in this process."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from modelyard.data.texts import loading as text_loading
from modelyard.data.texts.examples import TextExamples
from modelyard.pipelines import classify_text, self_training
from modelyard.pipelines import text_training as setup

_QUIET = Console(quiet=True)
_KNOWN = (("dull", "stale"), ("great", "fresh"))
_NEW = ("tedious", "sublime")
_NEUTRAL = ("film", "plot", "actor", "scene", "music", "the", "a")


@pytest.fixture(autouse=True)
def reviews(pose_as_imdb):
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


def _config(root, **fields):
    """A small n-gram model."""
    return classify_text.Config(
        dataset="imdb_reviews",
        runs_dir=str(root / "runs"),
        baseline=False,
        export=False,
        batch_size=16,
        learning_rate=0.02,
        **fields,
    )


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_words_of_unlabelled_texts_are_learned_from_the_teacher(tmp_path):
    alone = classify_text.run(_config(tmp_path), console=_QUIET)
    assert _metrics(alone)["test"]["accuracy"] < 0.7
    assert "teachers" not in _metrics(alone)
    config = _config(tmp_path, teachers=("ngram",), teacher_rounds=2)
    taught = classify_text.run(config, console=_QUIET)
    metrics = _metrics(taught)
    assert metrics["test"]["accuracy"] > 0.9
    assert classify_text.evaluate(taught) == metrics["test"]
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
    assert "What its teachers labelled" in (taught / "report.html").read_text()
    assert "no labels but those that" in (taught / "MODEL_CARD.md").read_text()
    assert "no labels but those that" not in (alone / "MODEL_CARD.md").read_text()


def test_student_that_starts_from_a_language_model_is_taught_too(tmp_path):
    sizes = {"embedding_dim": 8, "units": 8, "num_layers": 1}
    config = _config(tmp_path, model="lstm", pretrain_epochs=1, **sizes)
    config = dataclasses.replace(
        config, unfreezing="none", epochs=1, teachers=("ngram",), max_length=20
    )
    metrics = _metrics(classify_text.run(config, console=_QUIET))
    assert {"teachers", "language_model"} <= metrics.keys()


def test_unlabelled_texts_are_read_for_the_training_alone(tmp_path):
    config = _config(tmp_path, teachers=("ngram",))
    assert len(setup.load_splits(config).unlabelled)
    assert not len(setup.load_splits(config, with_unlabelled=False).unlabelled)


def test_labels_are_kept_for_a_run_that_goes_on(tmp_path, monkeypatch):
    config = _config(tmp_path, teachers=("ngram",))
    arguments = (config, setup.load_splits(config), tmp_path, _QUIET)
    labels, facts = self_training.label_unlabelled(*arguments)
    assert (tmp_path / "teachers" / "ngram" / "1" / "history.csv").exists()
    assert not list(tmp_path.rglob("checkpoints"))
    monkeypatch.setattr(setup, "fit", None)
    again = self_training.label_unlabelled(*arguments)
    np.testing.assert_array_equal(again[0], labels)
    assert again[1] == facts


def test_teacher_has_its_own_recipe_and_the_same_examples(tmp_path):
    config = _config(
        tmp_path,
        model="text_cnn",
        teachers=("ngram", "lstm"),
        word_vectors="cooccurrence",
        seed=3,
        epochs=7,
    )
    teacher = self_training.teacher_config(config, "ngram")
    assert (teacher.model, teacher.teachers) == ("ngram", ())
    assert (teacher.dataset, teacher.seed) == ("imdb_reviews", 3)
    assert teacher.naive_bayes
    assert teacher.epochs == 2
    assert teacher.word_vectors == "random"
    assert self_training.teacher_config(config, "lstm").word_vectors == "cooccurrence"


def test_teachers_label_by_their_mean_scores(tmp_path, monkeypatch):
    scores = {
        "ngram": np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]),
        "text_cnn": np.array([[0.2, 0.8], [0.3, 0.7], [0.8, 0.2]]),
    }
    validation = {
        "ngram": np.array([[0.9, 0.1], [0.4, 0.6]]),
        "text_cnn": np.array([[0.4, 0.6], [0.7, 0.3]]),
    }
    monkeypatch.setattr(
        self_training,
        "_teach",
        lambda config, *_: (validation[config.model], scores[config.model]),
    )
    config = _config(tmp_path, model="text_cnn", teachers=("ngram", "text_cnn"))
    splits = setup.load_splits(config)
    examples = TextExamples(np.array(["a", "b"], object), np.array([0, 1]))
    splits = dataclasses.replace(splits, validation=examples)
    labels, facts = self_training.label_unlabelled(config, splits, tmp_path, _QUIET)
    np.testing.assert_array_equal(labels, [0, 1, 0])
    assert facts["models"] == ["ngram", "text_cnn"]
    assert facts["validation_accuracy"] == [0.5]
    assert facts["validation_accuracy_of_each"] == {"ngram": 1.0, "text_cnn": 0.0}
    assert facts["mean_score"] == pytest.approx(np.mean([0.55, 0.65, 0.6]))


@pytest.mark.slow
def test_teacher_starts_from_word_vectors_too(tmp_path):
    config = _config(
        tmp_path,
        model="text_cnn",
        teachers=("ngram", "text_cnn"),
        word_vectors="cooccurrence",
        max_length=20,
    )
    folder = classify_text.run(config, console=_QUIET)
    assert {"teachers", "word_vectors"} <= _metrics(folder).keys()
    vectors = folder / "teachers" / "text_cnn" / "1" / "word_vectors.npy"
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
        classify_text.run(_config(tmp_path, teachers=("ngram",)), console=_QUIET)
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
        classify_text.Config(**fields)
