import dataclasses

import numpy as np
import pytest

from modelyard.evaluation.attributions import Attributor
from modelyard.reporting.text_sections import (
    baseline_section,
    colour_words,
    excerpt,
    language_model_section,
    length_section,
    mistakes_section,
    teachers_section,
    word_vectors_section,
)

_NAMES = ("bad", "good", "höhle")


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (0.95, 0.85, "The model of this run is better."),
        (0.85, 0.95, "The linear model is better: use that instead."),
        (0.90, 0.91, "No clear difference: the linear model does as well."),
    ],
)
def test_baseline_stands_beside_the_run_with_a_verdict(ours, theirs, verdict):
    metrics = {
        "test": {"accuracy": ours, "num_examples": 1000},
        "timing": {"train_seconds": 90.0},
    }
    baseline = {"accuracy": theirs, "seconds": 16.2, "num_features": 1234}
    section = baseline_section(metrics, baseline)
    assert section.note.startswith(verdict)
    assert "1,234 words and pairs" in section.note
    assert section.rows[0] == ("This run", f"{100 * ours:.2f}%", "1 min 30 s")
    assert section.rows[1][1:] == (f"{100 * theirs:.2f}%", "16.2 s")


def test_language_model_is_shown_with_perplexity_and_next_words():
    facts = {
        "validation_perplexity": 87.25,
        "unigram_perplexity": 700.4,
        "epochs": 2,
        "words_per_epoch": 16_650_474,
        "train_seconds": 90.0,
        "continuations": [{"words": "one of the", "next": [("best", 0.5)]}],
    }
    section = language_model_section(facts)
    for text in ("epochs: 2", "16,650,474", "1 min 30 s", "87.2", "700"):
        assert text in section.note
    assert section.rows == [("one of the …", "best (50.00%)")]


def test_labels_of_teachers_are_shown_by_class():
    facts = {
        "models": ["ngram", "lstm"],
        "validation_accuracy": [0.9, 0.9238],
        "validation_accuracy_of_each": {"ngram": 0.91, "lstm": 0.915},
        "texts": {"bad": 1500, "good": 500},
        "mean_score": 0.87,
        "seconds": 90.0,
    }
    section = teachers_section(facts)
    for text in (
        "ngram 91.00%, lstm 91.50%",
        "1 min 30 s",
        "90.00%, then 92.38%",
        "2,000 unlabelled texts",
        "87.00%",
    ):
        assert text in section.note
    assert section.rows == [("bad", "1,500", "75.00%"), ("good", "500", "25.00%")]


def test_word_vectors_are_shown_by_nearest_words():
    facts = {
        "words_read": 18_717_219,
        "words_known": 29_998,
        "seconds": 42.0,
        "neighbours": [{"word": "dull", "nearest": ["boring", "tedious"]}],
    }
    section = word_vectors_section(facts)
    for text in ("18,717,219 words", "in 42 s", "29,998 words"):
        assert text in section.note
    assert section.rows == [("dull", "boring, tedious")]


def test_baseline_of_a_run_without_timing_is_shown():
    metrics = {"test": {"accuracy": 0.5, "num_examples": 10}}
    baseline = {"accuracy": 0.5, "seconds": 1.0, "num_features": 3}
    assert baseline_section(metrics, baseline).rows[0][2] == "none"


def test_length_section_has_a_row_and_a_tick_for_each_group():
    lengths = np.arange(1, 2001)
    labels = np.zeros(2000, np.int64)
    scores = np.tile([0.9, 0.1], (2000, 1))
    scores[1500:] = 0.1, 0.9
    section = length_section(scores, labels, lengths)
    assert len(section.rows) == 8
    assert section.rows[0] == ("1 to 250", "250", "100.00%", "98.49% to 100.00%")
    assert section.rows[-1][:3] == ("1,751 to 2,000", "250", "0.00%")
    for word in (">126<", ">1,876<", "words", "test accuracy"):
        assert word in section.figure


def test_texts_without_words_have_a_place_in_the_figure():
    scores = np.tile([0.9, 0.1], (4, 1))
    section = length_section(scores, np.zeros(4, np.int64), np.array([0, 0, 5, 5]))
    assert [row[0] for row in section.rows] == ["0 to 0", "5 to 5"]
    assert ">0<" in section.figure
    longer = length_section(scores, np.zeros(4, np.int64), np.array([1, 1, 5, 5]))
    assert section.figure.count("<use") == longer.figure.count("<use")


def test_words_have_their_share_of_the_largest_influence(vocabulary):
    tokens = np.array([2, 3, 1, 0, 0])
    words = colour_words(tokens, np.array([1.0, -4.0, 0.0, 0.0, 0.0]), vocabulary)
    assert words == [("good", 0.25), ("bad", -1.0), ("[UNK]", 0.0)]
    assert colour_words(tokens, np.zeros(5), vocabulary)[0] == ("good", 0.0)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.3, -1.0, 0.2, 0.0, 0.5], "0 1 …"),
        ([0.1, 0.0, 0.5, -0.5, 0.1], "… 2 3 …"),
        ([0.0, 0.0, 0.0, -0.5, 0.1], "… 3 4"),
        ([0.3, 0.2], "0 1"),
    ],
)
def test_excerpt_is_the_part_with_the_most_influence(shares, expected):
    words = [(str(i), share) for i, share in enumerate(shares)]
    found = excerpt(words, size=2)
    assert " ".join(word for word, _ in found) == expected
    assert set(found) <= {*words, ("…", 0.0)}


def test_most_confident_mistakes_are_shown_with_their_words(text_model, vocabulary):
    model = text_model("sum")
    tokens = np.array([[2, 4, 0], [3, 4, 9], [5, 2, 0], [8, 0, 0]], np.int32)
    logits = model(tokens).numpy().astype(float)
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = scores.argmax(1)
    wrong = [2, 1]
    labels[wrong] = (labels[wrong] + 1) % 3
    asked = []

    def make_tokens(indices):
        asked.extend(indices.tolist())
        return tokens[indices]

    section = mistakes_section(
        model, vocabulary, make_tokens, scores=scores, labels=labels, class_names=_NAMES
    )
    assert sorted(asked) == [1, 2]
    surest = asked[0]
    assert scores[surest].max() >= scores[asked[1]].max()
    first = section.texts[0]
    predicted = _NAMES[scores[surest].argmax()]
    assert first.caption == f"{_NAMES[labels[surest]]} → {predicted}"
    assert first.note == f"{100 * scores[surest].max():.1f}%"
    seen = [vocabulary[token] for token in tokens[surest] if token]
    assert [word for word, _ in first.words] == seen
    assert max(abs(share) for _, share in first.words) == pytest.approx(1)
    only = mistakes_section(
        model,
        vocabulary,
        make_tokens,
        scores=scores,
        labels=labels,
        class_names=_NAMES,
        count=1,
    )
    assert len(only.texts) == 1


def test_run_without_mistakes_explains_nothing(text_model, vocabulary):
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    section = mistakes_section(
        text_model("sum"),
        vocabulary,
        None,
        scores=scores,
        labels=np.array([0, 1]),
        class_names=_NAMES,
    )
    assert section.note == "None: all test texts are classified correctly."
    assert not section.texts


@pytest.mark.parametrize(
    ("gap", "count", "note"),
    [(0.01, "0 of 2", "90.0%"), (-0.3, "2 of 2", "90.0%, attribution is approximate")],
)
def test_attributions_whose_sum_is_incomplete_are_called_approximate(
    text_model, vocabulary, monkeypatch, gap, count, note
):
    complete = Attributor.explain

    def explain(self, tokens):
        found = complete(self, tokens)
        values = found.values.copy()
        values[:, 0] += gap
        return dataclasses.replace(found, values=values)

    monkeypatch.setattr(Attributor, "explain", explain)
    section = mistakes_section(
        text_model("sum"),
        vocabulary,
        lambda indices: np.full((len(indices), 2), 3, np.int32),
        scores=np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]]),
        labels=np.array([1, 1]),
        class_names=_NAMES,
    )
    assert f"{count} texts have an error above 0.1" in section.note
    assert [text.note for text in section.texts] == [note, note]
