"""Image denoising: from noisy pictures to clean ones.

modelyard run denoise-images --dataset photos --noise-level 25
modelyard run denoise-images --dataset folder:~/pictures --noise poisson
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
from modelyard.pipelines.denoise_images import page, steps
from modelyard.pipelines.denoise_images.config import Config
from modelyard.training.run import open_run

NAME = "denoise-images"


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
        noise = config.noise.resolve()
        with run.timed("load"):
            splits = pictures.load_splits(config, config.channels)
            further, splits = pictures.load_further(config.evaluate_on, splits)
        run.say(describe_splits(splits, splits.describe_sizes()))
        model, progress, num_patches = steps.train(run, config, splits, noise)
        pictures.save_with_examples(run, model, splits)
        with run.timed("evaluate"):
            metrics, measured = steps.measure_all(
                model, config, splits, further, run.console
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
                facts, metrics, measured, noise, export
            ),
            card=page.model_card(
                facts,
                metrics,
                splits.channels,
                noise,
                export_name(config),
                noise_map=config.network.noise_map,
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
    noise = config.noise.resolve()
    measured = steps.measure(model, splits.test, noise, Console(quiet=True))
    return steps.method_metrics(measured)[pictures.OURS]


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """

    def publish(model, base, documents, config):
        examples = pictures.read_examples(folder)
        level = config.noise.resolve().level
        return export_picture_model(
            steps.served_model(model),
            base,
            task=NAME,
            channels=examples.shape[-1],
            golden_pictures=examples,
            extra_files=documents,
            **steps.strip_options(config.model, config.network),
            more_signatures=steps.more_signatures(model, len(examples), level),
        )

    return publish_run(folder, Config, publish)
