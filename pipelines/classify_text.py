"""Text classification: from reviews or a table of texts to a model that takes strings.

    modelyard run classify-text --dataset imdb_reviews --model lstm
    modelyard run classify-text --dataset "csv:PATH?text=COLUMN&label=COLUMN"

TensorFlow and Keras are imported within the functions that need them: `--help`
must answer at once.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from modelyard.data.names import require_known
from modelyard.pipelines import run_steps
from modelyard.pipelines.text_recipes import RECIPES

__all__ = ["MODELS", "NAME", "RECIPES", "Config", "evaluate", "export", "run"]

NAME = "classify-text"
MODELS = ("ngram", "text_cnn", "simple_rnn", "gru", "lstm", "transformer", "fnet")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run. Defaults are overridden by the recipe."""

    dataset: str = "reviews"
    """`imdb_reviews`, `reviews` or `csv:PATH?text=COLUMN&label=COLUMN`."""
    model: str = "ngram"
    """One of the models of `modelyard list`."""
    recipe: str = "fast"
    """smoke (seconds), fast (best accuracy per second) or best (best accuracy)."""
    seed: int = 0
    """Seed of the weights, the validation cut, the data order and dropout."""

    max_words: int = 30_000
    """Largest size of the vocabulary, which is built from the training texts and, where
    the model learns from them, the unlabelled ones."""
    min_count: int = 2
    """Occurrences in these that make a word part of the vocabulary."""
    max_length: int = 400
    """Words of a text that the model sees."""
    truncation: Literal["head", "tail", "head_tail"] = "head_tail"
    """Which part of a longer text that is: its beginning, its end, or some of both."""
    drop_test_texts: bool = True
    """Leave out training texts that are also test texts."""

    epochs: int = 5
    """Passes over the training examples."""
    batch_size: int = 128
    """Most texts of an update."""
    batch_words: int = 32_768
    """Most words of an update, with padding: long texts come in smaller batches."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    """Update rule."""
    learning_rate: float = 0.002
    """Peak learning rate."""
    embedding_rate_scale: float = 1.0
    """Learning rate of the word vectors, relative to that of everything else; for sgd
    and adamw."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    """Course of the learning rate after its warm-up."""
    warmup_share: float = 0.2
    """Share of all updates that warm up."""
    weight_decay: float = 0.01
    """Decoupled weight decay of all but adam."""
    momentum: float = 0.9
    """Momentum of sgd."""
    clip_norm: float = 1.0
    """Largest norm of all gradients together; 0 is no clipping."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes."""
    ema: float = 0.0
    """Momentum of an average of the weights that replaces them, lower in trainings of
    few updates; 0 is none."""
    early_stopping: int = 0
    """Epochs without a lower validation loss that end the training; 0 is never."""

    naive_bayes: bool = False
    """Let the words that naive Bayes finds telling learn faster; for ngram."""
    ngrams: int | None = None
    """Longest n-gram that has a weight (ngram) or a vector (recurrent networks and
    transformers); the model's own if not given."""
    buckets: int | None = None
    """Rows that the n-grams of two and more words share; the model's own if not
    given."""
    embedding_dim: int | None = None
    """Size of the word vectors; the model's own if not given."""
    units: int | None = None
    """Units of a recurrent layer in each direction; the model's own if not given."""
    num_layers: int | None = None
    """Layers of a recurrent network or transformer; the model's own if not given."""
    bidirectional: bool | None = None
    """Whether a recurrent network also reads backwards; the model's own if not
    given."""
    pooling: str | None = None
    """How a text becomes one vector; the model's own if not given."""
    embedding_dropout: float | None = None
    """Share of the dimensions of the word vectors dropped in each training text; the
    model's own if not given."""
    dropout: float | None = None
    """Dropout rate; the model's own if not given."""

    word_vectors: Literal["random", "cooccurrence"] = "random"
    """What the word vectors start from: random numbers, or which words stand near each
    other in the training texts and, of imdb_reviews, the unlabelled ones."""
    teachers: tuple[str, ...] = ()
    """Models that learn first, by their recipes fast, and then together label the
    unlabelled texts of imdb_reviews; the classifier learns from both."""
    teacher_rounds: int = 1
    """How often they learn: from the second time on also from what they labelled."""
    pretrain_epochs: int = 0
    """Passes of a language model over the training texts and, of imdb_reviews, the
    unlabelled ones; the lstm starts from it. 0 is none."""
    pretrain_batch_words: int = 8192
    """Most words of an update of the language model."""
    pretrain_learning_rate: float = 0.003
    """Its peak learning rate."""
    pretrained: str | None = None
    """Folder of an earlier run whose language model and vocabulary are used instead."""
    unfreezing: Literal["gradual", "at_once", "none"] = "gradual"
    """How the layers of a language model are fine-tuned: one more group an epoch from
    the top down, then all for `epochs`; all from the beginning; or only what is new."""
    rate_decay: float = 0.4
    """Learning rate of each group of its layers, relative to the group above."""

    baseline: bool = True
    """Also fit the bar to take: TF-IDF bigrams with a linear support vector machine."""
    validation_share: float = 1 / 12
    """Share of the training examples kept for validation."""
    max_train_examples: int | None = None
    """Train on a balanced part of that many examples only."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the training; exports are float32."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Compile training steps with XLA; auto does so on a GPU."""
    export: bool = True
    """Publish a SavedModel at the end."""
    export_name: str | None = None
    """Name below the folder of SavedModels; <dataset>-<model> if not given."""
    runs_dir: str = "runs"
    """Root of the run folders."""
    saved_models_dir: str = "saved_models"
    """Root of the SavedModels."""

    @property
    def has_language_model(self) -> bool:
        """Whether the model starts from a language model."""
        return self.pretrain_epochs > 0 or self.pretrained is not None

    def __post_init__(self):
        """Refuses values that no training can use."""
        rules = (
            ("max_words", self.max_words >= 1, "at least 1"),
            ("min_count", self.min_count >= 1, "at least 1"),
            ("max_length", self.max_length >= 1, "at least 1"),
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            (
                "batch_words",
                self.batch_words >= self.max_length,
                f"at least max_length ({self.max_length})",
            ),
            ("embedding_rate_scale", self.embedding_rate_scale > 0, "above 0"),
            (
                "embedding_rate_scale",
                self.embedding_rate_scale == 1
                or (self.model != "ngram" and self.optimizer in ("sgd", "adamw")),
                "1 unless the optimizer is sgd or adamw, and the model not ngram",
            ),
            ("early_stopping", self.early_stopping >= 0, "at least 0"),
            (
                "word_vectors",
                self.word_vectors == "random"
                or (self.model != "ngram" and not self.has_language_model),
                "random if the model is ngram or starts from a language model",
            ),
            (
                "teachers",
                len(set(self.teachers)) == len(self.teachers),
                "different models",
            ),
            ("teacher_rounds", self.teacher_rounds >= 1, "at least 1"),
            (
                "teacher_rounds",
                self.teacher_rounds == 1 or bool(self.teachers),
                "1 without teachers",
            ),
            ("pretrain_epochs", self.pretrain_epochs >= 0, "at least 0"),
            (
                "pretrain_epochs",
                not self.pretrain_epochs or self.model == "lstm",
                "0 unless the model is lstm",
            ),
            (
                "pretrain_batch_words",
                not self.pretrain_epochs
                or self.pretrain_batch_words >= self.max_length,
                f"at least max_length ({self.max_length})",
            ),
            ("pretrain_learning_rate", self.pretrain_learning_rate > 0, "above 0"),
            (
                "pretrained",
                self.pretrained is None
                or (self.model == "lstm" and not self.pretrain_epochs),
                "left out unless the model is lstm, without pretrain_epochs",
            ),
            (
                "optimizer",
                not self.has_language_model or self.optimizer in ("sgd", "adamw"),
                "sgd or adamw with a language model",
            ),
            (
                "ngrams",
                not self.has_language_model or self.ngrams in (None, 1),
                "1 with a language model, whose vectors are of words alone",
            ),
            ("rate_decay", 0 < self.rate_decay <= 1, "in (0, 1]"),
            (
                "naive_bayes",
                not self.naive_bayes
                or (self.model == "ngram" and self.embedding_dim is None),
                "left out unless the model is ngram, without embedding_dim",
            ),
        )
        require_known("model", self.model, MODELS)
        for model in self.teachers:
            require_known("teachers", model, MODELS)
        run_steps.check_settings(self, rules)


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, exports and reports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run the ones it was started with.
        resume: Folder of an interrupted run to go on with.
        console: Where progress is shown; the standard output if not given.

    Raises:
        ValueError: If a setting does not fit the model or the data, `pretrained` is
            not a run with a language model, or `teachers` have no texts to label.
        StorageError: If a folder cannot be written or has no room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    import numpy as np

    from modelyard.pipelines import (
        classification_results,
        self_training,
        summaries,
        word_vectors,
    )
    from modelyard.pipelines import text_pretraining as pretraining
    from modelyard.pipelines import text_results as results
    from modelyard.pipelines import text_training as setup
    from modelyard.training import run_folder as runs
    from modelyard.training.files import write_json

    finish_report = functools.partial(
        classification_results.finish_report, inputs=results.PREDICT_INPUTS
    )
    console = console or Console()
    began = time.perf_counter()
    config = run_steps.with_absolute_paths(config)
    options = setup.model_options(config)
    splits = setup.load_splits(config)
    console.print(summaries.describe_sizes(splits, "texts"), highlight=False)
    tokens = setup.tokenize(config, splits)
    console.print(results.describe_tokens(tokens), highlight=False)
    timing = {"load_seconds": time.perf_counter() - began}
    began = time.perf_counter()
    model = setup.compile_model(config, splits, tokens, options)
    timing["build_seconds"] = time.perf_counter() - began
    run_steps.require_room(config, model)
    folder = resume or runs.new_run_folder(
        Path(config.runs_dir), NAME, config.dataset, config.model
    )
    runs.write_config(folder, NAME, config)
    write_json(folder / "environment.json", runs.describe_environment(model))
    console.print(f"Run: {folder}", highlight=False)
    with run_steps.way_to_resume(NAME, folder, console):
        labels = splits.train.labels
        vectors = teachers = facts = None
        if config.word_vectors == "cooccurrence":
            vectors = word_vectors.start_from_cooccurrence(
                config, tokens, model, folder, console
            )
        if config.teachers:
            taught, teachers = self_training.label_unlabelled(
                config, splits, folder, console
            )
            labels = np.concatenate([labels, taught])
        if config.has_language_model:
            language_model, facts = pretraining.obtain_language_model(
                config, tokens, options, folder, console
            )
            progress = pretraining.fine_tune(
                config, splits, tokens, labels, model, language_model, folder, console
            )
        else:
            progress = setup.fit(
                config,
                splits,
                tokens,
                labels,
                model,
                folder,
                console,
                epochs=config.epochs,
                patience=config.early_stopping,
            )
        classifier = setup.as_float32(model, config, splits, tokens, options)
        results.save_classifier(folder, classifier, splits, tokens)
        outcome = results.measure(
            config,
            classifier,
            splits,
            tokens,
            progress,
            timing,
            word_vectors=vectors,
            teachers=teachers,
            language_model=facts,
        )
        write_json(folder / "metrics.json", outcome.metrics)
        report = results.make_report(
            folder, splits, tokens, classifier, outcome, progress
        )
        results.write_model_card(folder, report, _export_name(config))
        finish_report(folder, report, None)  # Kept if the export is refused.
        exported = None
        if config.export:
            exported = run_steps.published(folder) or export(folder)
        finish_report(folder, report, exported)
    console.print(results.summarise(folder, outcome.metrics, exported), highlight=False)
    return folder


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split once more.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    from modelyard.pipelines import text_results
    from modelyard.pipelines.text_training import load_splits
    from modelyard.training.run_folder import read_config, require_finished

    config = read_config(folder, Config)
    require_finished(folder)
    splits = load_splits(config, with_unlabelled=False)
    return text_results.evaluate_run(folder, config, splits)


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    from modelyard.pipelines.text_results import export_run
    from modelyard.training.run_folder import read_config

    config = read_config(folder, Config)
    return export_run(folder, config, _export_name(config))


def _export_name(config: Config) -> str:
    """Name of the export, below the root of the SavedModels."""
    return run_steps.export_name(config, config.model)


if __name__ == "__main__":
    from modelyard.pipelines.cli import main

    sys.exit(main(["run", NAME, *sys.argv[1:]]))
