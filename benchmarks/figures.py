"""Runs whole trainings in turn and merges their figures into a results file."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from machine import describe_machine

Record = dict[str, Any]
Job = tuple[Callable[[int], Record], int]
HERE = Path(__file__).parent


@contextlib.contextmanager
def finished_run(
    pipeline: str, *options: str, keep: Path | None = None
) -> Iterator[tuple[Path, float]]:
    """Runs a pipeline in its own process, without an export.

    Args:
        pipeline: Name, such as `"classify-images"`.
        *options: Further arguments of `modelyard run`.
        keep: Folder for this run alone, which is kept. A run that is in it is
            resumed.

    Yields:
        The run's folder, which is deleted at the end unless it is kept, and the seconds
        of the process.
    """
    with contextlib.ExitStack() as stack:
        root = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = [sys.executable, "-m", "modelyard.pipelines.cli", "run", pipeline]
        begun = next(root.rglob("config.json"), None)
        if begun is not None:
            command += ["--resume", begun.parent]
        else:
            command += ["--no-export", "--runs-dir", root, *options]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        (metrics,) = root.rglob("metrics.json")
        yield metrics.parent, seconds


def run_peer(script: str, *options: str, python: str = sys.executable) -> Record:
    """Runs a script of `peers/`; returns its record and the seconds of its process.

    As in our commands, TensorFlow uses oneDNN there.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [python, HERE / "peers" / script, *options],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={"TF_ENABLE_ONEDNN_OPTS": "1", **os.environ},
    )
    seconds = time.perf_counter() - began
    return {**json.loads(done.stdout.splitlines()[-1]), "process_seconds": seconds}


def measure_in_turn(
    jobs: Mapping[str, Job], path: Path, *, peer: str | None = None
) -> None:
    """Runs all jobs with the first seed, then all with the next, and so on.

    Args:
        jobs: For each figure, a function from a seed to a record, and the number of
            seeds.
        path: JSON file of results; figures of the same names are replaced.
        peer: The job to whose `seconds` the others are compared.
    """
    records: dict[str, list[Record]] = {name: [] for name in jobs}
    for seed in range(max(count for _, count in jobs.values())):
        for name, (measure, count) in jobs.items():
            if seed < count:
                records[name].append({"seed": seed, **measure(seed)})
                print(name, records[name][-1], flush=True)
        _merge(path, records, peer)  # Keeps what has been measured so far.


def _merge(path, records, peer):
    """Adds the new figures to the file."""
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, rows in records.items():
        keys = [
            key
            for key, value in rows[0].items()
            if key != "seed" and isinstance(value, int | float)
        ]
        results[name] = {
            **{key: _spread([row[key] for row in rows]) for key in keys},
            "runs": rows,
            "machine": describe_machine(),
        }
        if peer is not None and name != peer and "seconds" in keys:
            # Runs of the same turn, so that a slow minute of the machine hits both.
            ratios = [
                ours["seconds"] / theirs["seconds"]
                for ours, theirs in zip(rows, records[peer], strict=False)
            ]
            results[name]["time_relative_to_peer"] = _spread(ratios)
    path.write_text(json.dumps(results, indent=1) + "\n")


def _spread(values):
    """Mean, median, standard deviation and range."""
    return {
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "min": min(values),
        "max": max(values),
    }
