"""What comes out of a run on texts: metrics, files, report, summary."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from scipy.special import softmax

from modelyard.data.texts.loading import TextSplits
from modelyard.data.texts.token_pipeline import (
    in_original_order,
    make_token_evaluation_dataset,
)
from modelyard.data.texts.tokenizer import (
    UNKNOWN,
    TokenLists,
    load_vocabulary,
    make_text_encoder,
    make_tokenizer,
    save_vocabulary,
)
from modelyard.evaluation.classification import classification_metrics, roc_auc
from modelyard.evaluation.text_baseline import fit_linear_baseline
from modelyard.exporting.text_classifier import export_text_classifier
from modelyard.pipelines import classification_results as results
from modelyard.pipelines import summaries
from modelyard.pipelines.run_steps import DOCUMENTS, publish_run
from modelyard.pipelines.text_training import (
    VOCABULARY_FILE,
    Tokens,
    batch_limits,
    encode,
)
from modelyard.reporting.model_card import model_card_text
from modelyard.reporting.report import Report
from modelyard.reporting.text_sections import (
    baseline_section,
    language_model_section,
    length_section,
    mistakes_section,
    teachers_section,
    word_vectors_section,
)
from modelyard.training.checkpoint import Progress
from modelyard.training.files import storage_errors, write_json, write_text
from modelyard.training.run_folder import read_run_json

if TYPE_CHECKING:
    from modelyard.pipelines.classify_text import Config

PREDICT_INPUTS = "'A text' ..."
_GOLDEN_EXAMPLES = 8
_GOLDEN_CHARACTERS = 2000
_EXAMPLES_FILE = "examples.json"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        scores: Probabilities of the test texts, float32 `(n, num_classes)`.
        metrics: The content of `metrics.json`.
    """

    scores: np.ndarray
    metrics: dict[str, Any]


def describe_tokens(tokens: Tokens) -> str:
    """Returns what tokenization gave, as text."""
    lengths = tokens.train.lengths
    unknown = np.mean(tokens.test.ids == UNKNOWN)
    return (
        f"vocabulary: {len(tokens.vocabulary):,} words; words of a training text: "
        f"median {np.median(lengths):.0f}, at most {lengths.max():,} after truncation; "
        f"unknown among the test words: {unknown:.1%}"
    )


def save_classifier(
    folder: Path, model: keras.Model, splits: TextSplits, tokens: Tokens
) -> None:
    """Writes `model.keras`, its vocabulary, and a few test texts to export it with."""
    with storage_errors(folder / VOCABULARY_FILE):
        save_vocabulary(tokens.vocabulary, folder / VOCABULARY_FILE)
    texts = [text[:_GOLDEN_CHARACTERS] for text in splits.test.texts[:_GOLDEN_EXAMPLES]]
    write_json(
        folder / _EXAMPLES_FILE,
        {"texts": texts, "class_names": list(splits.class_names)},
    )
    results.save_model(folder, model)


def measure(
    config: Config,
    model: keras.Model,
    splits: TextSplits,
    tokens: Tokens,
    progress: Progress,
    timing: dict[str, float],
    *,
    word_vectors: dict[str, Any] | None = None,
    teachers: dict[str, Any] | None = None,
    language_model: dict[str, Any] | None = None,
) -> Outcome:
    """Measures a trained model, and the linear one beside it.

    Args:
        config: Settings.
        model: The trained model, from token ids to logits.
        splits: The examples.
        tokens: Their token ids.
        progress: History of the training.
        timing: Seconds that were spent before the training, by name.
        word_vectors: What is known about those that it started from.
        teachers: What is known about those that labelled texts.
        language_model: What is known about the one that it started from.
    """
    began = time.perf_counter()
    scores = predict_scores(config, model, tokens.test)
    evaluate_seconds = time.perf_counter() - began
    validation = predict_scores(config, model, tokens.validation)
    metrics: dict[str, Any] = {
        "test": _metrics(scores, splits.test.labels),
        "validation": _metrics(validation, splits.validation.labels),
        "timing": {
            **timing,
            **results.training_timing(progress, len(tokens.lessons)),
            "evaluate_seconds": evaluate_seconds,
        },
    }
    if word_vectors is not None:
        metrics["word_vectors"] = word_vectors
    if teachers is not None:
        metrics["teachers"] = teachers
    if language_model is not None:
        metrics["language_model"] = language_model
    if config.baseline:
        metrics["linear_baseline"] = fit_linear_baseline(
            splits.train.texts.tolist(),
            splits.train.labels,
            splits.test.texts.tolist(),
            splits.test.labels,
        )
    return Outcome(scores, metrics)


def make_report(
    folder: Path,
    splits: TextSplits,
    tokens: Tokens,
    model: keras.Model,
    outcome: Outcome,
    progress: Progress,
) -> Report:
    """Gathers what the page of a run shows."""
    shown = dict(outcome.metrics)
    baseline = shown.pop("linear_baseline", None)
    vectors = shown.pop("word_vectors", None)
    teachers = shown.pop("teachers", None)
    facts = shown.pop("language_model", None)
    scores, labels = outcome.scores, splits.test.labels
    sections = [
        *([] if baseline is None else [baseline_section(shown, baseline)]),
        *([] if vectors is None else [word_vectors_section(vectors)]),
        *([] if teachers is None else [teachers_section(teachers)]),
        *([] if facts is None else [language_model_section(facts)]),
        length_section(scores, labels, tokens.test.lengths),
        mistakes_section(
            model,
            tokens.vocabulary,
            lambda indices: tokens.test.take(indices).to_dense(),
            scores=scores,
            labels=labels,
            class_names=splits.class_names,
        ),
    ]
    return results.make_report(
        folder, splits, scores, shown, progress, sections=sections
    )


def write_model_card(folder: Path, report: Report, name: str) -> None:
    """Writes the model card of a run, which travels with its exports.

    Args:
        folder: The run's folder.
        report: The facts.
        name: Name of the model in TF Serving.
    """
    classes = len(report.class_names)
    answers = {
        "scores": f"float32 (n, {classes}), probabilities",
        "classes": f"string (n, {classes}), the names beside them",
    }
    text = {"text": "string (n,), UTF-8; other bytes are replaced"}
    teachers = report.config["teachers"]
    taught = (
        "A part of the texts it learned from had no labels but those that other "
        f"models ({', '.join(teachers)}) gave them, with their mistakes."
    )
    card = model_card_text(
        report,
        intended_use=(
            f"Telling apart the {classes} classes of {report.dataset.title}, in texts "
            "like those it was trained on."
        ),
        limits=(
            f"No more than {report.config['max_length']:,} words of a text are read.",
            "Words that the training texts do not have all look the same to it.",
            *([taught] if teachers else []),
        ),
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
                "outputs": {"embedding": "float32 (n, d), what the last layer sees"},
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
    write_text(folder / "MODEL_CARD.md", card)


def summarise(folder: Path, metrics: dict[str, Any], exported: Path | None) -> str:
    """Returns the last words of a run: figures, files and what to do next."""
    lines = [
        summaries.describe_accuracy(metrics["test"]),
        *_describe_baseline(metrics),
        *_describe_word_vectors(metrics),
        *_describe_teachers(metrics),
        *_describe_language_model(metrics),
        summaries.describe_training(metrics["timing"]),
        *summaries.describe_outputs(folder, exported, inputs=PREDICT_INPUTS),
    ]
    return "\n".join(lines)


def evaluate_run(folder: Path, config: Config, splits: TextSplits) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more."""
    vocabulary = load_vocabulary(folder / VOCABULARY_FILE)
    tokens = encode(config, make_tokenizer(vocabulary), splits.test.texts)
    model = keras.models.load_model(folder / "model.keras")
    return _metrics(predict_scores(config, model, tokens), splits.test.labels)


def export_run(folder: Path, config: Config, name: str) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish():
        examples = read_run_json(folder, _EXAMPLES_FILE)
        vocabulary = load_vocabulary(folder / VOCABULARY_FILE)
        return export_text_classifier(
            keras.models.load_model(folder / "model.keras"),
            make_text_encoder(
                make_tokenizer(vocabulary), config.max_length, config.truncation
            ),
            Path(config.saved_models_dir) / name,
            class_names=examples["class_names"],
            vocabulary=vocabulary,
            golden_texts=examples["texts"],
            extra_files=[folder / document for document in DOCUMENTS],
        )

    return publish_run(folder, publish)


def predict_scores(
    config: Config, model: keras.Model, tokens: TokenLists
) -> np.ndarray:
    """Predicts class probabilities, float32 `(n, num_classes)`."""
    dataset = make_token_evaluation_dataset(
        tokens, np.zeros(len(tokens), "int64"), **batch_limits(config)
    )
    logits = in_original_order(model.predict(dataset, verbose=0), tokens)
    return softmax(logits, axis=-1).astype("float32")


def _metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Figures of merit, with the area under the ROC curve."""
    return {
        **classification_metrics(scores, labels),
        "roc_auc": roc_auc(scores, labels),
    }


def _describe_baseline(metrics: dict[str, Any]) -> list[str]:
    """A line on the linear model, if there was any."""
    if "linear_baseline" not in metrics:
        return []
    baseline = metrics["linear_baseline"]
    accuracy, seconds = baseline["accuracy"], baseline["seconds"]
    return [f"  linear model on TF-IDF bigrams {accuracy:.2%} after {seconds:.1f} s"]


def _describe_word_vectors(metrics: dict[str, Any]) -> list[str]:
    """A line on the word vectors that it started from, if there were any."""
    if "word_vectors" not in metrics:
        return []
    facts = metrics["word_vectors"]
    count, seconds = facts["words_read"], facts["seconds"]
    return [f"  from word vectors counted in {count:,} words in {seconds:.0f} s"]


def _describe_teachers(metrics: dict[str, Any]) -> list[str]:
    """A line on the teachers, if there were any."""
    if "teachers" not in metrics:
        return []
    facts = metrics["teachers"]
    count, accuracy = sum(facts["texts"].values()), facts["validation_accuracy"][-1]
    teachers = f"{' and '.join(facts['models'])}, {accuracy:.2%} on validation texts"
    return [f"  taught by {teachers}: {count:,} more texts in {facts['seconds']:.0f} s"]


def _describe_language_model(metrics: dict[str, Any]) -> list[str]:
    """A line on the language model, if there was any."""
    if "language_model" not in metrics:
        return []
    facts = metrics["language_model"]
    perplexity, seconds = facts["validation_perplexity"], facts["train_seconds"]
    return [
        f"  from a language model of perplexity {perplexity:.1f} after {seconds:.0f} s"
    ]
