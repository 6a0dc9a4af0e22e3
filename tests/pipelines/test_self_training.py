"""Runs of the text pipeline with a teacher, in this process."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from modelyard.data import text_loading
from modelyard.data.catalogue import find_card
from modelyard.data.text_examples import TextExamples
from modelyard.pipelines import classify_text, self_training
from modelyard.pipelines import text_training as setup

_QUIET = Console(quiet=True)
_KNOWN = (("dull", "stale"), ("great", "fresh"))
_NEW = ("tedious", "sublime")
_NEUTRAL = ("film", "plot", "actor", "scene", "music", "the", "a")


@pytest.fixture(autouse=True)
def reviews(monkeypatch):
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

    def load(spec, data_dir, *, with_unlabelled):
        del spec, data_dir
        names = [n for n in parts if n != "unsupervised" or with_unlabelled]
        return find_card("imdb_reviews"), {name: parts[name] for name in names}

    monkeypatch.setattr(text_loading, "_load_source", load)


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
    assert "teacher" not in _metrics(alone)
    config = _config(tmp_path, teacher="ngram", teacher_rounds=2)
    taught = classify_text.run(config, console=_QUIET)
    metrics = _metrics(taught)
    assert metrics["test"]["accuracy"] > 0.9
    facts = metrics["teacher"]
    assert facts["model"] == "ngram"
    first, second = facts["validation_accuracy"]
    assert second >= max(first, 0.9)
    labels = np.load(taught / "teacher_labels.npy")
    assert np.mean(labels == np.arange(200) % 2) > 0.9
    assert facts["texts"] == {
        "neg": int((labels == 0).sum()),
        "pos": int((labels == 1).sum()),
    }
    assert 0.5 < facts["mean_score"] <= 1
    assert facts["seconds"] > 0
    assert "What its teacher labelled" in (taught / "report.html").read_text()
    assert "no labels but those that" in (taught / "MODEL_CARD.md").read_text()
    assert "no labels but those that" not in (alone / "MODEL_CARD.md").read_text()


def test_student_that_starts_from_a_language_model_is_taught_too(tmp_path):
    sizes = {"embedding_dim": 8, "units": 8, "num_layers": 1}
    config = _config(tmp_path, model="lstm", pretrain_epochs=1, **sizes)
    config = dataclasses.replace(
        config, unfreezing="none", epochs=1, teacher="ngram", max_length=20
    )
    metrics = _metrics(classify_text.run(config, console=_QUIET))
    assert {"teacher", "language_model"} <= metrics.keys()


def test_labels_are_kept_for_a_run_that_goes_on(tmp_path, monkeypatch):
    config = _config(tmp_path, teacher="ngram")
    splits = setup.load_splits(config)
    arguments = (config, "ngram", splits, tmp_path, _QUIET)
    labels, facts = self_training.label_unlabelled(*arguments)
    assert (tmp_path / "teacher" / "1" / "history.csv").exists()
    assert not list(tmp_path.rglob("checkpoints"))
    monkeypatch.setattr(setup, "fit", None)
    again = self_training.label_unlabelled(*arguments)
    np.testing.assert_array_equal(again[0], labels)
    assert again[1] == facts


def test_teacher_has_its_own_recipe_and_the_same_examples(tmp_path):
    config = _config(tmp_path, model="text_cnn", teacher="ngram", seed=3, epochs=7)
    teacher = self_training.teacher_config(config, "ngram")
    assert (teacher.model, teacher.teacher) == ("ngram", None)
    assert (teacher.dataset, teacher.seed) == ("imdb_reviews", 3)
    assert teacher.naive_bayes
    assert teacher.epochs == 2


def test_data_set_without_unlabelled_texts_is_refused(tmp_path, monkeypatch):
    load = text_loading._load_source
    monkeypatch.setattr(
        text_loading,
        "_load_source",
        lambda spec, folder, **_: load(spec, folder, with_unlabelled=False),
    )
    message = "`teacher` needs a data set with unlabelled texts.*teacher=ngram"
    with pytest.raises(ValueError, match=message):
        classify_text.run(_config(tmp_path, teacher="ngram"), console=_QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teacher": "ngrams"}, r"`teacher` must be one of .* mean ngram"),
        (
            {"teacher": "ngram", "teacher_rounds": 0},
            "`teacher_rounds` must be at least 1",
        ),
    ],
)
def test_teacher_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        classify_text.Config(**fields)
