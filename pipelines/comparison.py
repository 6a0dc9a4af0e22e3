"""Runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.training.run_folder import read_run_json

_PLACES = ("runs_dir", "saved_models_dir", "export_name")


def compare_runs(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Returns rows of text, one value a run: what differs and what came out.

    Args:
        folders: Folders of finished runs.

    Raises:
        RunError: If one of them is not a finished run.
    """
    configs = [read_run_json(folder, "config.json") for folder in folders]
    metrics = [read_run_json(folder, "metrics.json") for folder in folders]
    rows = {}
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [config.get(name) for config in configs]
        if name not in _PLACES and any(value != values[0] for value in values):
            rows[name] = [str(value) for value in values]
    for split in ("test", "test_tta", "validation"):
        if any(split in run for run in metrics):
            rows[f"{split} accuracy"] = [_accuracy(run.get(split)) for run in metrics]
    rows["test log loss"] = [f"{run['test']['log_loss']:.4f}" for run in metrics]
    rows["train seconds"] = [f"{run['timing']['train_seconds']:.1f}" for run in metrics]
    return rows


def _accuracy(metrics: dict[str, Any] | None) -> str:
    """An accuracy with its 95% interval, in percent."""
    if metrics is None:
        return "-"
    low, high = metrics["accuracy_interval"]
    return f"{metrics['accuracy']:.2%} ({low:.2%} to {high:.2%})"
