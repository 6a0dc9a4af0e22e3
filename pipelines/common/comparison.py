"""Runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.pipelines import find_pipeline
from modelyard.reporting.formats import metric_text, quantity, split_name
from modelyard.training.run_folder import read_run_json

_PATHS = ("runs_dir", "saved_models_dir", "export_name")


def compare_runs(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Returns rows of text, one value per run: settings that differ, and results.

    Args:
        folders: Folders of finished runs, of one pipeline or of several.

    Raises:
        RunError: If one of them is not a finished run.
    """
    configs = [read_run_json(folder, "config.json") for folder in folders]
    metrics = [read_run_json(folder, "metrics.json") for folder in folders]
    rows = {}
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [config.get(name) for config in configs]
        if name not in _PATHS and any(value != values[0] for value in values):
            rows[name] = [
                quantity(config[name], name) if name in config else "-"
                for config in configs
            ]
    for split in ("test", "test_tta", "validation"):
        for metric in _compared_metrics(configs):
            shown = [_show(run.get(split, {}), metric) for run in metrics]
            if any(text != "-" for text in shown):
                rows[f"{split_name(split)}: {metric.replace('_', ' ')}"] = shown
    rows["train seconds"] = [f"{run['timing']['train_seconds']:.1f}" for run in metrics]
    return rows


def _compared_metrics(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the metrics that the pipelines of these runs compare."""
    pipelines = dict.fromkeys(config["pipeline"] for config in configs)
    return list(
        dict.fromkeys(
            metric
            for name in pipelines
            for metric in find_pipeline(name).load_settings().COMPARED
        )
    )


def _show(metrics: dict[str, Any], name: str) -> str:
    """A metric, with its 95% interval if there is one."""
    if name not in metrics:
        return "-"
    text = metric_text(name, metrics[name])
    if f"{name}_interval" not in metrics:
        return text
    low, high = (metric_text(name, end) for end in metrics[f"{name}_interval"])
    return f"{text} ({low} to {high})"
