"""Checks whether a SavedModel will work in TF Serving."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelyard.serving.check.rules import RULES, CheckResult, Finding, RuleResult
from modelyard.serving.versions import newest_version


def check_saved_model(
    directory: str | Path, *, timeout_seconds: float = 600.0
) -> CheckResult:
    """Checks a SavedModel with the loader of TF Serving, in a separate process.

    The process sees no GPU and has XLA switched off, as in a standard TF Serving.
    If the process crashes, that is reported as a failure of the SavedModel.

    Args:
        directory: A version directory, or the base directory of a model, whose
            newest version is then checked.
        timeout_seconds: Time limit for the whole check.

    Returns:
        The result of every rule.

    Raises:
        RuntimeError: If the checking process could not start.
    """
    start = time.monotonic()
    try:
        version = newest_version(Path(directory))
    except OSError:  # Unreadable; the checks will report it.
        version = Path(directory)
    note = ""
    if version != Path(directory):
        note = f"version {version.name}, the newest in {directory}"
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal.jsonl")
        death = _run_probe(version.absolute(), journal, timeout_seconds)
        findings = _read_journal(journal, death)
    results = [
        RuleResult(
            rule.name,
            rule.level,
            finding.ok,
            finding.detail,
            rule.why,
            finding.fix or rule.fix,
        )
        for rule, finding in zip(RULES, findings, strict=True)
    ]
    ok = all(result.ok is not False or result.level != "error" for result in results)
    seconds = round(time.monotonic() - start, 3)
    return CheckResult(str(version), note, ok, results, seconds)


def _run_probe(directory: Path, journal: Path, timeout_seconds: float) -> str:
    """Runs the checks in a new process; returns how it died, or an empty string."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_XLA_FLAGS", None)
    # -P: never import a file of the current folder that is named like a library.
    command = [sys.executable, "-P", "-m", "modelyard.serving.check.probe"]
    try:
        process = subprocess.run(  # noqa: S603
            [*command, str(directory), str(journal)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"was stopped after {timeout_seconds:g} seconds"
    if process.returncode == 0:
        return ""
    lines = (process.stderr.decode(errors="replace").strip() or "-").splitlines()
    return f"{_describe_exit(process.returncode)}; its last line: {lines[-1]}"


def _describe_exit(code: int) -> str:
    """Names the signal or the status that ended a process."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _read_journal(journal: Path, death: str) -> list[Finding]:
    """Reads the findings; if the process died, the rule it was checking has failed."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    # A killed process may leave half a line.
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    findings = [Finding(*entry["finding"]) for entry in entries if "finding" in entry]
    if not death:
        return findings
    begun = [entry for entry in entries if "begin" in entry]
    if not begun:
        raise RuntimeError(f"The checking process could not start: it {death}.")
    missing = RULES[len(findings) :]
    if len(begun) > len(findings):
        findings.append(
            Finding(ok=False, detail=f"The process that checked this {death}.")
        )
        missing = missing[1:]
    detail = f"Not checked: the checking process {death}."
    return findings + [Finding(ok=None, detail=detail) for _ in missing]
