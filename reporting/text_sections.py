"""Sections of the page of a run on texts."""

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
from modelyard.reporting.sections import ExplainedText, Section

_NUM_MISTAKES = 20
_EXCERPT_WORDS = 100
_ROUGH_GAP = 0.1  # Logits; more of them missing makes the colours a rough picture.


def baseline_section(
    metrics: Mapping[str, Mapping[str, Any]], baseline: Mapping[str, Any]
) -> Section:
    """Sets the test accuracy beside that of the linear model.

    Args:
        metrics: Those of the run, with `test` and perhaps `timing`.
        baseline: What `fit_linear_baseline` gave for the same test texts.
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
        title="Beside a linear model",
        note=(
            f"{verdict} Ours minus it: {percent(difference)}, 95% interval "
            f"{percent(low)} to {percent(high)} (Newcombe's, as if the test sets were "
            f"independent). The linear model, scikit-learn's LinearSVC on TF-IDF of "
            f"{baseline['num_features']:,} words and pairs of words, saw the same "
            "labelled texts in the same run."
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
        facts: Its perplexity and that of word frequencies, epochs, words of an
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
        title="The language model it started from",
        note=(
            "Trained to guess each next word. Words of an epoch: "
            f"{facts['words_per_epoch']:,}; epochs: {facts['epochs']}; time: "
            f"{quantity(facts['train_seconds'], 'seconds')}. Perplexity of validation "
            f"texts: {facts['validation_perplexity']:.1f}; of a guess by the frequency "
            f"of words alone: {facts['unigram_perplexity']:.0f}."
        ),
        header=("A validation text begins", "Likely next words"),
        rows=rows,
    )


def word_vectors_section(facts: Mapping[str, Any]) -> Section:
    """Shows what word vectors knew before the first label was seen.

    Args:
        facts: How many words they were counted in, how many have vectors, the
            seconds, and some words with the nearest ones.
    """
    return Section(
        title="The word vectors it started from",
        note=(
            f"Counted from which words stand near each other in "
            f"{facts['words_read']:,} words of text, without a look at labels, in "
            f"{quantity(facts['seconds'], 'seconds')}; {facts['words_known']:,} words "
            "of the vocabulary have one. Nearest are those at the smallest angle."
        ),
        header=("Word", "Nearest words"),
        rows=[(row["word"], ", ".join(row["nearest"])) for row in facts["neighbours"]],
    )


def teachers_section(facts: Mapping[str, Any]) -> Section:
    """Shows what teachers added to the training texts.

    Args:
        facts: Their models, validation accuracy of their mean scores by round and of
            each in the last one, mean score, the texts that they labelled by class,
            and seconds.
    """
    total = sum(facts["texts"].values())
    accuracies = ", then ".join(percent(a) for a in facts["validation_accuracy"])
    each = ", ".join(
        f"{model} {percent(accuracy)}"
        for model, accuracy in facts["validation_accuracy_of_each"].items()
    )
    return Section(
        title="What its teachers labelled",
        note=(
            f"Other models learned from the labelled texts first, in "
            f"{quantity(facts['seconds'], 'seconds')}. The accuracy of their mean "
            f"scores on validation texts was {accuracies} (in the last round {each}). "
            f"The model of this run also learned from {total:,} texts without labels, "
            "each with the class that they gave it, with a mean score of "
            f"{percent(facts['mean_score'])}."
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
    """Shows for which lengths of text the model is good.

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
        note=(
            "Test texts in groups of about the same size; the bars are 95% intervals."
        ),
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
    """Shows the surest mistakes, with words coloured by what they did.

    Args:
        model: As for `Attributor`.
        vocabulary: The words of the token ids, in order.
        make_tokens: Gives the tokens of some test texts by their indices: int32
            `(m, t)`, padded with 0 at the end.
        scores: Probabilities of all test texts, floating `(n, k)`.
        labels: Their true classes, integer `(n,)`.
        class_names: Names of the classes.
        count: The most mistakes to show.
    """
    title = "Most confident mistakes"
    mistakes = most_confident_mistakes(scores, labels, count=count)
    if not len(mistakes):
        return Section(title=title, note="None: all test texts are classified right.")
    tokens = make_tokens(mistakes)
    explained = Attributor(model).explain(tokens)
    gaps = np.abs(explained.gaps)
    rough = gaps > _ROUGH_GAP
    texts = [
        ExplainedText(
            words=excerpt(colour_words(row, values, vocabulary)),
            true=class_names[labels[index]],
            predicted=class_names[scores[index].argmax()],
            score=float(scores[index].max()),
            is_rough=bool(is_rough),
        )
        for index, row, values, is_rough in zip(
            mistakes, tokens, explained.values, rough, strict=True
        )
    ]
    return Section(
        title=title,
        note=(
            "True class → prediction and its score; of a long text the "
            f"{_EXCERPT_WORDS} words on end that counted most. Blue words spoke for "
            "the prediction, red ones against it, by integrated gradients from the "
            "word vectors. The values of a text sum to what its words added to the "
            f"logit of the prediction, here up to {gaps.max():.2g}; where more than "
            f"{_ROUGH_GAP} is missing ({rough.sum()} of {len(gaps)} texts), the "
            "integral jumps too much to be summed, and the colours are rough."
        ),
        texts=texts,
    )


def colour_words(
    tokens: np.ndarray, values: np.ndarray, vocabulary: Sequence[str]
) -> list[tuple[str, float]]:
    """Lists the words of a text with their shares of the strongest influence.

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
    """Cuts the part out of a text that counted most.

    Args:
        words: Words with their shares, as of `colour_words`.
        size: Most words to keep, at least 1.

    Returns:
        Those on end whose shares are largest in sum of their absolute values, with
        `…` where others were.
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
