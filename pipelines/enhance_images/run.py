"""Super-resolution: from small pictures to larger ones.

modelyard run enhance-images --dataset photos --scale 2
modelyard run enhance-images --dataset t91 --scale 3 --evaluate-on set5 set14
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.exporting.picture_model import export_picture_model
from modelyard.pipelines.common import pictures
from modelyard.pipelines.common.finish import (
    describe_splits,
    finish,
    load_finished,
    record_metrics,
)
from modelyard.pipelines.common.publishing import export_name, publish_run
from modelyard.pipelines.enhance_images import page, steps
from modelyard.pipelines.enhance_images.config import Config
from modelyard.training.run import open_run

NAME = "enhance-images"


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
            splits = pictures.load_splits(config, config.channels)
            further, splits = pictures.load_further(config.evaluate_on, splits)
        parts = (splits.train, splits.validation, splits.test, *further.values())
        steps.check_scale(config.scale, *parts)
        run.say(describe_splits(splits, splits.describe_sizes()))
        model, progress, num_patches = steps.train(run, config, splits)
        pictures.save_with_examples(run, model, splits)
        with run.timed("evaluate"):
            metrics, measured = steps.measure_all(
                model, config.scale, splits, further, run.console
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
            make_page=lambda export: page.make_page(
                facts, metrics, measured, config.scale, export
            ),
            card=page.model_card(
                facts,
                metrics,
                splits.channels,
                config.scale,
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
    splits = pictures.load_splits(config, config.channels)
    measured = steps.measure(model, splits.test, config.scale, Console(quiet=True))
    return steps.method_metrics(measured, config.scale)[pictures.OURS]


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, config):
        examples = pictures.read_examples(folder)
        return export_picture_model(
            model,
            base,
            task=NAME,
            channels=examples.shape[-1],
            golden_pictures=examples,
            extra_files=documents,
            halo=steps.receptive_radius(config.network.blocks),
            scale=config.scale,
        )

    return publish_run(folder, Config, publish)
