"""The end of a run: report, export and what to do next."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from modelyard.pipelines.common.publishing import published
from modelyard.reporting.page import Page, render_page
from modelyard.reporting.run_page import DatasetFacts, ExportFacts, RunFacts
from modelyard.training.checkpoint import Progress
from modelyard.training.files import write_text
from modelyard.training.run import Run
from modelyard.training.run_folder import (
    read_config,
    read_run_json,
    require_finished,
)


def gather_facts(
    run: Run, splits: Any, metrics: dict[str, Any], progress: Progress, *, unit: str
) -> RunFacts:
    """Gathers the facts that the page and the model card of any run show.

    Args:
        run: The run.
        splits: The examples, with a card, findings and the splits themselves.
        metrics: The content of `metrics.json`.
        progress: History of the training.
        unit: Plural name of the examples, such as "images".
    """
    config = read_run_json(run.folder, "config.json")
    card = splits.card
    return RunFacts(
        title=f"{config['dataset']}: {config['model']}",
        subtitle=(
            f"{card.title}; {run.pipeline}, recipe {config['recipe']}, "
            f"seed {config['seed']}"
        ),
        config=config,
        environment=read_run_json(run.folder, "environment.json"),
        history=pd.DataFrame(progress.history),
        timing=metrics["timing"],
        dataset=DatasetFacts(
            title=card.title,
            licence=card.licence,
            citation=card.citation,
            url=card.url,
            split_sizes=split_sizes(splits),
        ),
        findings=splits.findings,
        unit=unit,
    )


def record_metrics(
    run: Run,
    splits: Any,
    metrics: dict[str, Any],
    progress: Progress,
    *,
    examples_per_epoch: int,
    unit: str,
) -> RunFacts:
    """Adds the timing to the metrics, writes `metrics.json`, and gathers the facts.

    Args:
        run: The run.
        splits: As for `gather_facts`.
        metrics: All metrics but the timing.
        progress: History of the training.
        examples_per_epoch: Examples that an epoch trained on.
        unit: As for `gather_facts`.
    """
    timing = training_timing(progress, examples_per_epoch)
    metrics["timing"] = {**run.timing, **timing}
    run.write_json("metrics.json", metrics)
    return gather_facts(run, splits, metrics, progress, unit=unit)


def load_finished(folder: Path, config_class: type) -> tuple[Any, keras.Model]:
    """Loads the config and the model of a finished run.

    Args:
        folder: The run's folder.
        config_class: Class of its config.

    Raises:
        RunError: If the run has not finished its training.
    """
    config: Any = read_config(folder, config_class)
    require_finished(folder)
    return config, keras.models.load_model(folder / "model.keras")


def finish(
    run: Run,
    *,
    make_page: Callable[[ExportFacts | None], Page],
    card: str,
    export: Callable[[Path], Path],
    summary: Sequence[str],
    predict_inputs: str,
) -> Path:
    """Writes report and model card, exports, and prints the results.

    Args:
        run: The run, with its model saved and `metrics.json` written.
        make_page: Makes the report page, with or without an export.
        card: The model card.
        export: Publishes the model of a run's folder.
        summary: Lines on the results.
        predict_inputs: Inputs of `modelyard predict`, as in its help.

    Returns:
        The folder of the run.
    """
    folder = run.folder
    write_text(folder / "MODEL_CARD.md", card)
    # Written first, so that it is there if the export is refused.
    write_text(folder / "report.html", render_page(make_page(None)))
    lines = [*summary, f"Report: {folder / 'report.html'}"]
    if run.config.output.export:
        exported = published(folder) or export(folder)
        command = f"modelyard predict {shlex.quote(str(exported))} {predict_inputs}"
        page = make_page(ExportFacts(exported, command))
        write_text(folder / "report.html", render_page(page))
        lines += [f"Export: {exported}", f"Predict: {command}"]
    run.say("\n".join(lines))
    return folder


def training_timing(progress: Progress, examples_per_epoch: int) -> dict[str, Any]:
    """Returns the speed of a training, for `metrics.json`; no rates without epochs."""
    seconds = progress.train_seconds
    timing = {"train_seconds": seconds, "epochs": progress.epoch}
    if not progress.epoch:
        return timing
    return timing | {
        "examples_per_second": examples_per_epoch * progress.epoch / seconds,
        "input_wait_share": progress.input_wait_seconds / seconds,
    }


def describe_training(timing: dict[str, Any]) -> str:
    """Returns a line on the speed of a training."""
    plural = "" if timing["epochs"] == 1 else "s"
    return (
        f"Trained {timing['epochs']} epoch{plural} in {timing['train_seconds']:.1f} s: "
        f"{timing['examples_per_second']:,.0f} examples/s, "
        f"{timing['input_wait_share']:.1%} of the time waiting for input"
    )


def describe_splits(splits: Any, example: str) -> str:
    """Returns the sizes of the splits and what their checks found, as text.

    Args:
        splits: The examples.
        example: What the examples are, as in "10 classes, 28x28x1".
    """
    sizes = ", ".join(f"{name} {n:,}" for name, n in split_sizes(splits).items())
    found = "; ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in splits.findings.items()
    )
    return f"{splits.spec} ({splits.card.title}): {sizes}; {example}\nchecked: {found}"


def split_sizes(splits: Any) -> dict[str, int]:
    """Returns the number of examples by split."""
    return {
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
    }
