"""Sections about texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from modelyard.evaluation.attributions import Attributor
from modelyard.evaluation.classification import (
    accuracy_by_length,
    most_confident_mistakes,
)
from modelyard.evaluation.intervals import difference_interval
from modelyard.reporting.figures import length_figure
from modelyard.reporting.formats import percent, quantity
from modelyard.reporting.sections import ColouredText, Section

_NUM_MISTAKES = 20
_EXCERPT_WORDS = 100
_ROUGH_GAP = 0.1  # Logits; with a larger error the colours are approximate.


def baseline_section(
    metrics: Mapping[str, Mapping[str, Any]], baseline: Mapping[str, Any]
) -> Section:
    """Compares the test accuracy with that of the linear model.

    Args:
        metrics: The metrics of the run: `test` and perhaps `timing`.
        baseline: The result of `fit_linear_baseline` on the same test texts.
    """
    test, seconds = metrics["test"], metrics.get("timing", {}).get("train_seconds")
    count = test["num_examples"]
    difference, low, high = difference_interval(
        test["accuracy"], count, baseline["accuracy"], count
    )
    verdict = "No clear difference: the linear model does as well."
    if low > 0:
        verdict = "The model of this run is better."
    elif high < 0:
        verdict = "The linear model is better: use that instead."
    return Section(
        title="Linear baseline",
        note=(
            f"{verdict} Difference: {percent(difference)}, 95% interval "
            f"{percent(low)} to {percent(high)} (Newcombe's, for independent test "
            "sets). The baseline is scikit-learn's LinearSVC on TF-IDF features of "
            f"{baseline['num_features']:,} words and pairs of words, trained on the "
            "same labelled texts."
        ),
        header=("Model", "Test accuracy", "Training time"),
        rows=[
            (
                "This run",
                percent(test["accuracy"]),
                quantity(seconds, "seconds"),
            ),
            (
                "TF-IDF bigrams + LinearSVC",
                percent(baseline["accuracy"]),
                quantity(baseline["seconds"], "seconds"),
            ),
        ],
    )


def language_model_section(facts: Mapping[str, Any]) -> Section:
    """Shows what a language model had learned before it became a classifier.

    Args:
        facts: Its perplexity and that of word frequencies, epochs, words per
            epoch, seconds, and beginnings of texts with likely next words.
    """
    rows = [
        (
            f"{row['words']} …",
            ", ".join(f"{word} ({percent(score)})" for word, score in row["next"]),
        )
        for row in facts["continuations"]
    ]
    return Section(
        title="Pretrained language model",
        note=(
            "The classifier started from a model that predicts the next word. Words "
            f"per epoch: {facts['words_per_epoch']:,}; epochs: {facts['epochs']}; "
            f"time: {quantity(facts['train_seconds'], 'seconds')}. Perplexity on "
            f"validation texts: {facts['validation_perplexity']:.1f}; of word "
            f"frequencies alone: {facts['unigram_perplexity']:.0f}."
        ),
        header=("Beginning of a validation text", "Likely next words"),
        rows=rows,
    )


def word_vectors_section(facts: Mapping[str, Any]) -> Section:
    """Shows what the word vectors had learned before the first label was seen.

    Args:
        facts: `words_read` in the texts, `words_known` (words with a vector),
            `seconds`, and `neighbours`, some words with the nearest ones.
    """
    return Section(
        title="Pretrained word vectors",
        note=(
            "Computed from co-occurrences in "
            f"{facts['words_read']:,} words of text, without labels, in "
            f"{quantity(facts['seconds'], 'seconds')}; {facts['words_known']:,} words "
            "of the vocabulary have a vector. The nearest words have the smallest "
            "angle."
        ),
        header=("Word", "Nearest words"),
        rows=[(row["word"], ", ".join(row["nearest"])) for row in facts["neighbours"]],
    )


def teachers_section(facts: Mapping[str, Any]) -> Section:
    """Shows the texts that teachers added to the training texts.

    Args:
        facts: The validation accuracy of their mean scores by round and of each
            teacher in the last round, the mean score, the number of texts that they
            labelled by class, and seconds.
    """
    total = sum(facts["texts"].values())
    accuracies = ", then ".join(percent(a) for a in facts["validation_accuracy"])
    each = ", ".join(
        f"{model} {percent(accuracy)}"
        for model, accuracy in facts["validation_accuracy_of_each"].items()
    )
    return Section(
        title="Texts labelled by teachers",
        note=(
            "Other models were first trained on the labelled texts, in "
            f"{quantity(facts['seconds'], 'seconds')}. The accuracy of their mean "
            f"scores on validation texts was {accuracies} (last round: {each}). "
            f"The model of this run also learned from {total:,} unlabelled texts, "
            "with the classes that the teachers assigned to them. Their mean score "
            f"was {percent(facts['mean_score'])}."
        ),
        header=("Class", "Texts labelled", "Share"),
        rows=[
            (name, f"{count:,}", percent(count / max(total, 1)))
            for name, count in facts["texts"].items()
        ],
    )


def length_section(
    scores: np.ndarray, labels: np.ndarray, lengths: np.ndarray
) -> Section:
    """Shows the accuracy by length of the text.

    Args:
        scores: Probabilities of the test texts, floating `(n, k)`.
        labels: Their true classes, integer `(n,)`.
        lengths: Their words, integer `(n,)`.
    """
    bins = accuracy_by_length(scores, labels, lengths)
    rows = [
        (
            f"{row['shortest']:,} to {row['longest']:,}",
            f"{row['count']:,}",
            percent(row["accuracy"]),
            f"{percent(row['low'])} to {percent(row['high'])}",
        )
        for row in bins.to_dict("records")
    ]
    return Section(
        title="Accuracy by length",
        note="Test texts in groups of similar size. Bars are 95% intervals.",
        header=("Words", "Texts", "Accuracy", "95% interval"),
        rows=rows,
        figure=length_figure(bins),
    )


def mistakes_section(
    model: keras.Model,
    vocabulary: Sequence[str],
    make_tokens: Callable[[np.ndarray], np.ndarray],
    *,
    scores: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    count: int = _NUM_MISTAKES,
) -> Section:
    """Shows the most confident mistakes, with words coloured by their influence.

    Args:
        model: As for `Attributor`.
        vocabulary: The words of the token ids, in order.
        make_tokens: Gives the tokens of some test texts by their indices: int32
            `(m, t)`, padded with 0 at the end.
        scores: Probabilities of all test texts, floating `(n, k)`.
        labels: Their true classes, integer `(n,)`.
        class_names: Names of the classes.
        count: Maximum number of mistakes to show.
    """
    title = "Most confident mistakes"
    mistakes = most_confident_mistakes(scores, labels, count=count)
    if not len(mistakes):
        note = "None: all test texts are classified correctly."
        return Section(title=title, note=note)
    tokens = make_tokens(mistakes)
    explained = Attributor(model).explain(tokens)
    gaps = np.abs(explained.gaps)
    rough = gaps > _ROUGH_GAP
    texts = [
        ColouredText(
            words=excerpt(colour_words(row, values, vocabulary)),
            caption=(
                f"{class_names[labels[index]]} → {class_names[scores[index].argmax()]}"
            ),
            note=percent(scores[index].max(), 1)
            + (", attribution is approximate" if is_rough else ""),
        )
        for index, row, values, is_rough in zip(
            mistakes, tokens, explained.values, rough, strict=True
        )
    ]
    return Section(
        title=title,
        note=(
            "True class → prediction and its score. Of a long text, the "
            f"{_EXCERPT_WORDS} consecutive words with the most influence are shown. "
            "Blue words support the prediction, red words oppose it, by integrated "
            "gradients of the word vectors. The attributions of a text should sum to "
            "the change of the prediction's logit. The largest error is "
            f"{gaps.max():.2g}; {rough.sum()} of {len(gaps)} texts have an error above "
            f"{_ROUGH_GAP} and are marked as approximate."
        ),
        texts=texts,
    )


def colour_words(
    tokens: np.ndarray, values: np.ndarray, vocabulary: Sequence[str]
) -> list[tuple[str, float]]:
    """Lists the words of a text with their shares of the largest influence.

    Args:
        tokens: Token ids, integer `(t,)`, padded with 0 at the end.
        values: Their attributions, floating `(t,)`.
        vocabulary: The words of the token ids, in order.

    Returns:
        Pairs of a word and a share in [-1, 1], without the padding.
    """
    length = np.count_nonzero(tokens)
    shares = values[:length] / (np.abs(values[:length]).max(initial=0) or 1)
    words = [vocabulary[token] for token in tokens[:length]]
    return list(zip(words, shares.tolist(), strict=True))


def excerpt(
    words: Sequence[tuple[str, float]], size: int = _EXCERPT_WORDS
) -> list[tuple[str, float]]:
    """Returns the part of a text with the most influence.

    Args:
        words: Words with their shares, as from `colour_words`.
        size: Maximum number of words to keep, at least 1.

    Returns:
        The consecutive words whose absolute shares have the largest sum, with `…` where
        words were left out.
    """
    weights = np.abs([share for _, share in words])
    if len(words) <= size:
        return list(words)
    start = int(np.convolve(weights, np.ones(size), "valid").argmax())
    end = start + size
    dots = [("…", 0.0)]
    return [
        *(dots if start > 0 else []),
        *words[start:end],
        *(dots if end < len(words) else []),
    ]
