"""Colorization: from grey pictures to coloured ones.

modelyard run colorize-images --dataset photos
modelyard run colorize-images --dataset cifar10 --model distribution_colorizer
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.exporting.picture_model import export_picture_model
from modelyard.pipelines.colorize_images import page, steps
from modelyard.pipelines.colorize_images.config import Config
from modelyard.pipelines.common import pictures
from modelyard.pipelines.common.finish import (
    describe_splits,
    finish,
    load_finished,
    record_metrics,
)
from modelyard.pipelines.common.publishing import export_name, publish_run
from modelyard.training.run import open_run

NAME = "colorize-images"


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, reports and exports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run those it was started with.
        resume: Folder of an interrupted run to resume.
        console: Where progress is shown; standard output by default.

    Raises:
        ValueError: If a setting does not fit the data.
        StorageError: If a folder cannot be written or has too little room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    with open_run(NAME, config, resume=resume, console=console) as run:
        config = run.config
        with run.timed("load"):
            splits = pictures.load_splits(config, channels=3)
            further, splits = pictures.load_further(config.evaluate_on, splits)
            steps.require_color(
                train=splits.train, validation=splits.validation, test=splits.test
            )
            classifier = steps.load_classifier(config.classifier, splits)
        run.say(describe_splits(splits, splits.describe_sizes()))
        trained, mean_chroma = steps.train(run, config, splits)
        model, progress, num_patches = trained
        pictures.save_with_examples(run, model, splits)
        with run.timed("evaluate"):
            metrics, measured = steps.measure_all(
                model, splits, further, classifier, mean_chroma, run.console
            )
        facts = record_metrics(
            run,
            splits,
            metrics,
            progress,
            examples_per_epoch=num_patches,
            unit="patches",
        )
        return finish(
            run,
            make_page=lambda export: page.make_page(facts, metrics, measured, export),
            card=page.model_card(
                facts,
                metrics,
                export_name(config),
            ),
            export=export,
            summary=page.summarise(metrics),
            predict_inputs=pictures.PREDICT_INPUTS,
        )


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split again.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    config, model = load_finished(folder, Config)
    splits = pictures.load_splits(config, channels=3)
    measured = steps.measure(model, splits.test, Console(quiet=True))
    return steps.method_metrics(measured)[pictures.OURS]


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, _):
        examples = pictures.read_examples(folder)
        return export_picture_model(
            model,
            base,
            task=NAME,
            channels=3,
            golden_pictures=examples,
            extra_files=documents,
        )

    return publish_run(folder, Config, publish)
