"""Transfer learning: a pretrained backbone becomes a classifier of your own images.

    modelyard run transfer-images --dataset cifar10 --max-train-examples 1000
    modelyard run transfer-images --dataset folder:PATH

First the backbone is frozen: its features are computed once, and a linear head is
fitted to them in seconds. Then the backbone, or its upper blocks, are fine-tuned.
The classifier with the better validation accuracy is kept.
"""

import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from modelyard.data.images.pipeline import plan_epochs
from modelyard.pipelines.common import images
from modelyard.pipelines.common.classification import classification_page
from modelyard.pipelines.common.finish import describe_splits, finish, gather_facts
from modelyard.pipelines.common.frozen_features import (
    PREDICT_BATCH,
    FeatureCache,
    fit_frozen,
    set_head,
)
from modelyard.pipelines.common.learning_curve import (
    label_counts,
    measure_learning_curve,
)
from modelyard.pipelines.common.publishing import export_name
from modelyard.pipelines.transfer_images import page, steps
from modelyard.pipelines.transfer_images.config import Config
from modelyard.training.run import open_run

NAME = "transfer-images"


def run(
    config: Config, *, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Trains, tests, reports and exports; returns the folder of the run.

    Args:
        config: Settings; for a resumed run those it was started with.
        resume: Folder of an interrupted run to resume.
        console: Where progress is shown; standard output by default.

    Raises:
        ValueError: If a setting does not fit the backbone or the data.
        RuntimeError: If the pretrained weights are not available.
        StorageError: If a folder cannot be written or has too little room.
        DivergenceError: If the loss is no longer finite.
        GateError: If the export does not predict like the trained model.
    """
    with open_run(NAME, config, resume=resume, console=console) as run:
        config = run.config
        steps.check_unfrozen_blocks(config.model, config.training.unfreeze_blocks)
        with run.timed("load"):
            splits = steps.load_splits(config)
        config.augmentation.check_fits(splits.image_shape)
        counts = label_counts(
            config.evaluation.learning_curve, len(splits.train), splits.num_classes
        )
        run.say(describe_splits(splits, images.describe_examples(splits)))
        with run.timed("build"):
            frozen = steps.build_frozen(config, splits)
        flip = config.augmentation.flip
        run.begin(frozen, extra_bytes=steps.feature_bytes(splits, frozen, flip=flip))
        features = run.folder / "features"
        cache = FeatureCache(frozen, features, run.console)
        phase = fit_frozen(splits, cache, run.folder, flip=flip)
        set_head(frozen, phase.head)
        run.say(page.describe_head(phase))
        epochs, steps_per_epoch = plan_epochs(
            len(splits.train),
            epochs=config.epochs,
            batch_size=config.batch_size,
            min_updates=config.training.min_updates,
        )
        tuned = steps.fine_tune(
            run,
            config,
            splits,
            frozen,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
        )
        curve = measure_learning_curve(
            run,
            counts,
            splits,
            cache,
            seed=config.seed,
            augmentation=config.augmentation,
            label_smoothing=config.training.label_smoothing,
        )
        outcome = steps.measure(
            run,
            splits,
            cache,
            phase,
            frozen,
            tuned,
            curve,
            views=config.evaluation.test_time_augmentation,
            examples_per_epoch=steps_per_epoch
            * min(config.batch_size, len(splits.train)),
        )
        images.save_with_examples(run, outcome.model, splits)
        run.write_json("metrics.json", outcome.metrics)
        facts = gather_facts(
            run, splits, outcome.metrics, outcome.progress, unit="images"
        )
        shown = page.metrics_by_split(outcome.metrics)
        results = images.gather_results(config.model, splits, outcome.scores, shown)
        sections = page.sections(splits, outcome)
        name = export_name(config)
        folder = finish(
            run,
            make_page=lambda export: classification_page(
                facts, results, sections, export
            ),
            card=images.image_classifier_card(
                facts, results, splits.image_shape, name, explain=True
            ),
            export=export,
            summary=page.summarise(outcome.metrics),
            predict_inputs=images.PREDICT_INPUTS,
        )
    shutil.rmtree(features, ignore_errors=True)  # Large, and no longer needed.
    return folder


def evaluate(folder: Path) -> dict[str, Any]:
    """Measures the model of a finished run on the test split again.

    Returns:
        The metrics, as under `test` in the run's `metrics.json`.
    """
    return images.evaluate_classifier(
        folder, Config, load_splits=steps.load_splits, batch_size=PREDICT_BATCH
    )


def export(folder: Path) -> Path:
    """Publishes the model of a finished run as a SavedModel; returns its path.

    Raises:
        RunError: If the run has not finished its training.
        GateError: If the export does not predict like the trained model.
    """
    return images.export_classifier(folder, Config, task=NAME, explain=True)
