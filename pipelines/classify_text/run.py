"""Text classification: from reviews or a table of texts to a model that takes strings.

modelyard run classify-text --dataset imdb_reviews --model lstm
modelyard run classify-text --dataset "csv:PATH?text=COLUMN&label=COLUMN"
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.data.texts.tokenizer import (
    load_vocabulary,
    make_text_encoder,
    make_tokenizer,
    save_vocabulary,
)
from modelyard.evaluation.text_baseline import fit_linear_baseline
from modelyard.exporting.text_classifier import export_text_classifier
from modelyard.pipelines.classify_text import page, steps
from modelyard.pipelines.classify_text.config import Config
from modelyard.pipelines.common import texts
from modelyard.pipelines.common.classification import classification_page
from modelyard.pipelines.common.finish import (
    describe_splits,
    finish,
    gather_facts,
    load_finished,
    training_timing,
)
from modelyard.pipelines.common.language_model import VOCABULARY_FILE
from modelyard.pipelines.common.publishing import export_name, publish_run
from modelyard.reporting.classes import ClassificationResults
from modelyard.training.files import storage_errors
from modelyard.training.run import open_run
from modelyard.training.run_folder import read_run_json

NAME = "classify-text"
_PREDICT_INPUTS = "'A text' ..."
_GOLDEN_EXAMPLES = 8
_GOLDEN_CHARACTERS = 2000
_EXAMPLES_FILE = "examples.json"


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, reports and exports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run those it was started with.
        resume: Folder of an interrupted run to resume.
        console: Where progress is shown; standard output by default.

    Raises:
        ValueError: If a setting does not fit the model or the data, `pretrained` is
            not a run with a language model, or `teachers` have no texts to label.
        StorageError: If a folder cannot be written or has too little room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    with open_run(NAME, config, resume=resume, console=console) as run:
        config = run.config
        options = steps.model_options(config.model, config.network, config.pretraining)
        with run.timed("load"):
            splits = steps.load_splits(config)
            run.say(describe_splits(splits, f"{splits.num_classes} classes, texts"))
            tokens = texts.tokenize(splits, config.data, config.pretraining)
            run.say(page.describe_tokens(tokens))
        with run.timed("build"):
            model = steps.compile_model(config, splits, tokens, options)
        run.begin(model)
        progress, started_from = steps.train(
            run, config, splits, tokens, model, options
        )
        classifier = steps.as_float32(
            model, config.model, config.pretraining, splits, tokens, options
        )
        with storage_errors(run.folder / VOCABULARY_FILE):
            save_vocabulary(tokens.vocabulary, run.folder / VOCABULARY_FILE)
        golden = splits.test.texts[:_GOLDEN_EXAMPLES]
        examples = {
            "texts": [text[:_GOLDEN_CHARACTERS] for text in golden],
            "class_names": list(splits.class_names),
        }
        run.write_json(_EXAMPLES_FILE, examples)
        run.save(classifier)
        limits = texts.batch_limits(config.training.batch_words, config.batch_size)
        with run.timed("evaluate"):
            scores = texts.predict_scores(classifier, tokens.test, limits)
        validation = texts.predict_scores(classifier, tokens.validation, limits)
        measured = {
            "test": steps.measure(scores, splits.test.labels),
            "validation": steps.measure(validation, splits.validation.labels),
        }
        metrics: dict[str, Any] = {
            **measured,
            "timing": {**run.timing, **training_timing(progress, len(tokens.lessons))},
            **started_from,
        }
        if config.training.baseline:
            metrics["linear_baseline"] = fit_linear_baseline(
                splits.train.texts.tolist(),
                splits.train.labels,
                splits.test.texts.tolist(),
                splits.test.labels,
            )
        run.write_json("metrics.json", metrics)
        facts = gather_facts(run, splits, metrics, progress, unit="texts")
        results = ClassificationResults(
            class_names=splits.class_names,
            labels=splits.test.labels,
            scores=scores,
            metrics=measured,
        )
        sections = page.sections(classifier, tokens, results, metrics)
        name = export_name(config)
        return finish(
            run,
            make_page=lambda export: classification_page(
                facts, results, sections, export
            ),
            card=page.model_card(
                facts,
                results,
                name,
                max_length=config.data.max_length,
                teachers=config.pretraining.teachers,
            ),
            export=export,
            summary=page.summarise(metrics),
            predict_inputs=_PREDICT_INPUTS,
        )


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split again.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    config, model = load_finished(folder, Config)
    test = steps.load_splits(config, with_unlabelled=False).test
    tokenizer = make_tokenizer(load_vocabulary(folder / VOCABULARY_FILE))
    tokens = texts.encode(tokenizer, test.texts, config.data)
    limits = texts.batch_limits(config.training.batch_words, config.batch_size)
    return steps.measure(texts.predict_scores(model, tokens, limits), test.labels)


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, config):
        examples = read_run_json(folder, _EXAMPLES_FILE)
        vocabulary = load_vocabulary(folder / VOCABULARY_FILE)
        encoder = make_text_encoder(
            make_tokenizer(vocabulary), config.data.max_length, config.data.truncation
        )
        return export_text_classifier(
            model,
            encoder,
            base,
            task=NAME,
            class_names=examples["class_names"],
            vocabulary=vocabulary,
            golden_texts=examples["texts"],
            extra_files=documents,
        )

    return publish_run(folder, Config, publish)
