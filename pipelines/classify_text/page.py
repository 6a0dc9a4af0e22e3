"""The report and the model card of `classify-text`."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from modelyard.data.texts.tokenizer import UNKNOWN
from modelyard.pipelines.common.classification import describe_accuracy
from modelyard.pipelines.common.finish import describe_training
from modelyard.pipelines.common.texts import Tokens
from modelyard.reporting.classes import (
    ClassificationResults,
    card_tables,
    measured_limits,
)
from modelyard.reporting.model_card import model_card_text
from modelyard.reporting.run_page import RunFacts
from modelyard.reporting.sections import Section
from modelyard.reporting.text_sections import (
    baseline_section,
    language_model_section,
    length_section,
    mistakes_section,
    teachers_section,
    word_vectors_section,
)


def sections(
    model: keras.Model,
    tokens: Tokens,
    results: ClassificationResults,
    metrics: Mapping[str, Any],
) -> list[Section]:
    """Returns the sections that other classifiers do not have.

    Args:
        model: The classifier, from token ids to logits.
        tokens: Token ids of the splits.
        results: Its predictions and metrics.
        metrics: The content of `metrics.json`.
    """
    makers = {
        "linear_baseline": lambda facts: baseline_section(metrics, facts),
        "word_vectors": word_vectors_section,
        "teachers": teachers_section,
        "language_model": language_model_section,
    }
    return [
        *(make(metrics[name]) for name, make in makers.items() if name in metrics),
        length_section(results.scores, results.labels, tokens.test.lengths),
        mistakes_section(
            model,
            tokens.vocabulary,
            lambda indices: tokens.test.take(indices).to_dense(),
            scores=results.scores,
            labels=results.labels,
            class_names=results.class_names,
        ),
    ]


def model_card(
    facts: RunFacts,
    results: ClassificationResults,
    name: str,
    *,
    max_length: int,
    teachers: Sequence[str],
) -> str:
    """Returns the model card.

    Args:
        facts: Facts about the run.
        results: Predictions and metrics.
        name: Name of the model in TF Serving.
        max_length: Words of a text that the model reads.
        teachers: Models that labelled some of the training texts.
    """
    classes = len(results.class_names)
    answers = {
        "scores": f"float32 (n, {classes}), probabilities",
        "classes": f"string (n, {classes}), class names in the order of the scores",
    }
    text = {"text": "string (n,), UTF-8; other bytes are replaced"}
    taught = (
        "Some of its training texts were labelled by other models "
        f"({', '.join(teachers)}), including their mistakes."
    )
    return model_card_text(
        facts,
        description=f"A classifier of {classes} classes: "
        f"{', '.join(results.class_names)}.",
        intended_use=(
            f"Classification of texts like those of {facts.dataset.title} into its "
            f"{classes} classes."
        ),
        limits=(
            f"At most {max_length:,} words of a text are read.",
            "Words that are not in the training texts are not distinguished.",
            *([taught] if teachers else []),
            *measured_limits(results),
        ),
        metrics=card_tables(results),
        signatures={
            "serving_default": {"inputs": text, "outputs": answers},
            "classify": {
                "inputs": {
                    "inputs": "string (n,), tf.Examples with the bytes feature `text`"
                },
                "outputs": answers,
            },
            "embed": {
                "inputs": text,
                "outputs": {"embedding": "float32 (n, d), input of the last layer"},
            },
            "explain": {
                "inputs": text,
                "outputs": {
                    **answers,
                    "tokens": "string (n, t), the words that were read",
                    "attribution": (
                        "float32 (n, t), what each word adds to the logit of the "
                        "class with the highest score"
                    ),
                },
            },
        },
        example_request=(
            "curl http://localhost:8501/v1/models/"
            f'{name}:predict -d \'{{"instances": ["A wonderful film."]}}\''
        ),
    )


def describe_tokens(tokens: Tokens) -> str:
    """Returns a line on the vocabulary and the lengths of the texts."""
    lengths = tokens.train.lengths
    unknown = np.mean(tokens.test.ids == UNKNOWN)
    return (
        f"vocabulary: {len(tokens.vocabulary):,} words; words of a training text: "
        f"median {np.median(lengths):.0f}, at most {lengths.max():,} after truncation; "
        f"unknown words in the test texts: {unknown:.1%}"
    )


def summarise(metrics: Mapping[str, Any]) -> list[str]:
    """Returns the lines that end a run: accuracy, baseline, pretraining and speed."""
    lines = [describe_accuracy(metrics["test"])]
    if "linear_baseline" in metrics:
        found = metrics["linear_baseline"]
        lines.append(
            f"  linear baseline (TF-IDF bigrams) {found['accuracy']:.2%} after "
            f"{found['seconds']:.1f} s"
        )
    if "word_vectors" in metrics:
        found = metrics["word_vectors"]
        lines.append(
            f"  word vectors from {found['words_read']:,} words in "
            f"{found['seconds']:.0f} s"
        )
    if "teachers" in metrics:
        found = metrics["teachers"]
        count = sum(found["texts"].values())
        lines.append(
            f"  taught by {' and '.join(found['models'])}, "
            f"{found['validation_accuracy'][-1]:.2%} on validation texts: "
            f"{count:,} more texts in {found['seconds']:.0f} s"
        )
    if "language_model" in metrics:
        found = metrics["language_model"]
        lines.append(
            f"  from a language model of perplexity "
            f"{found['validation_perplexity']:.1f} after "
            f"{found['train_seconds']:.0f} s"
        )
    return [*lines, describe_training(metrics["timing"])]
