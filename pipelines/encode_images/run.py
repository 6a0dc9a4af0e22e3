"""Image encoding: from images to a few numbers each, and back.

modelyard run encode-images --dataset mnist --code-size 32
modelyard run encode-images --dataset digits --model pca
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.exporting.image_encoder import export_image_encoder
from modelyard.pipelines.common import images
from modelyard.pipelines.common.finish import (
    describe_splits,
    finish,
    load_finished,
    record_metrics,
)
from modelyard.pipelines.common.publishing import export_name, publish_run
from modelyard.pipelines.encode_images import page, steps
from modelyard.pipelines.encode_images.config import Config
from modelyard.training.run import open_run

NAME = "encode-images"


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
            splits = images.load_splits(config)
        steps.check_code_size(config.code_size, splits)
        run.say(describe_splits(splits, images.describe_examples(splits)))
        model, progress = steps.train(run, config, splits)
        images.save_with_examples(run, model, splits)
        with run.timed("evaluate"):
            metrics, reconstructions = steps.measure(model, splits, run.console)
        if config.model != "pca":
            metrics["pca"] = steps.measure_pca(
                splits, config.code_size, config.seed, run.console
            )
        facts = record_metrics(
            run,
            splits,
            metrics,
            progress,
            examples_per_epoch=len(splits.train),
            unit="images",
        )
        name = export_name(config)
        return finish(
            run,
            make_page=lambda export: page.make_page(
                facts,
                metrics,
                splits.test.images,
                reconstructions,
                config.code_size,
                export,
            ),
            card=page.model_card(
                facts,
                metrics,
                splits.image_shape,
                config.code_size,
                name,
            ),
            export=export,
            summary=page.summarise(metrics),
            predict_inputs=images.PREDICT_INPUTS,
        )


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split again.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    config, model = load_finished(folder, Config)
    splits = images.load_splits(config)
    metrics, _ = steps.measure(model, splits, Console(quiet=True))
    return metrics["test"]


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, _):
        golden, _ = images.read_examples(folder)
        return export_image_encoder(
            model, base, task=NAME, golden_images=golden, extra_files=documents
        )

    return publish_run(folder, Config, publish)
