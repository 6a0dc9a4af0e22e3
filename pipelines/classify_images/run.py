"""Image classification: from a data set to a checked SavedModel.

modelyard run classify-images --dataset mnist --recipe fast
python pipelines/classify_images --dataset mnist --recipe fast
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.prediction import predict_scores
from modelyard.pipelines.classify_images import steps
from modelyard.pipelines.classify_images.config import Config
from modelyard.pipelines.classify_images.page import classification_page, summarise
from modelyard.pipelines.common import images
from modelyard.pipelines.common.finish import (
    describe_splits,
    finish,
    record_metrics,
)
from modelyard.pipelines.common.publishing import export_name
from modelyard.training.run import open_run

NAME = "classify-images"


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, reports and exports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run those it was started with.
        resume: Folder of an interrupted run to resume.
        console: Where progress is shown; standard output by default.

    Raises:
        ValueError: If a setting does not fit the model or the data.
        StorageError: If a folder cannot be written or has too little room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    with open_run(NAME, config, resume=resume, console=console) as run:
        config = run.config
        options = steps.model_options(config.model, config.network)
        with run.timed("load"):
            splits = images.load_splits(config)
        config.augmentation.check_fits(splits.image_shape)
        run.say(describe_splits(splits, images.describe_examples(splits)))
        with run.timed("build"):
            model, steps_per_epoch = steps.compile_model(config, splits, options)
        run.begin(model)
        progress = run.fit(
            model,
            lambda finished: steps.training_dataset(config, splits, finished),
            steps.validation_dataset(splits),
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            patience=config.training.early_stopping,
        )
        classifier = steps.as_float32(model, config.model, splits, options)
        images.save_with_examples(run, classifier, splits)
        with run.timed("evaluate"):
            scores = predict_scores(classifier, splits.test.images, console=run.console)
        validation = predict_scores(classifier, splits.validation.images)
        views = config.evaluation.test_time_augmentation
        metrics = {
            "test": classification_metrics(scores, splits.test.labels),
            **images.measure_augmented(run, classifier, splits.test, views),
            "validation": classification_metrics(validation, splits.validation.labels),
        }
        batch_size = steps.effective_batch_size(config.batch_size, len(splits.train))
        seen = steps_per_epoch * batch_size
        facts = record_metrics(
            run, splits, metrics, progress, examples_per_epoch=seen, unit="images"
        )
        results = images.gather_results(config.model, splits, scores, metrics)
        name = export_name(config)
        return finish(
            run,
            make_page=lambda export: classification_page(facts, results, export=export),
            card=images.image_classifier_card(facts, results, splits.image_shape, name),
            export=export,
            summary=summarise(metrics),
            predict_inputs=images.PREDICT_INPUTS,
        )


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split again.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    return images.evaluate_classifier(folder, Config)


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    return images.export_classifier(folder, Config, task=NAME)
