"""The model card that goes with an export, in Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelyard.evaluation.classification import per_class_table
from modelyard.reporting.formats import flatten, percent, quantity, split_name
from modelyard.reporting.report import Report, compare


def model_card_text(
    report: Report,
    *,
    intended_use: str,
    limits: Sequence[str],
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]],
    example_request: str,
) -> str:
    """Writes down what a user of an export should know.

    Args:
        report: The facts of the run.
        intended_use: What the model is for, in a sentence or more.
        limits: What it is not for or not good at, a sentence each; those that the
            figures tell are added.
        signatures: `{"serving_default": {"inputs": {"pixels": "float32 (batch, 28,
            28, 1) in [0, 255]"}, "outputs": {...}}, ...}`.
        example_request: A request with its address, such as a `curl` command.

    Returns:
        Markdown.

    Reference:
        [Mitchell et al., 2019](https://arxiv.org/abs/1810.03993)
    """
    sections = {
        "What it is": _description(report),
        "Intended use": _plain(intended_use),
        "Limits": _bullets([*limits, *_measured_limits(report)]),
        "Inputs and outputs": _signatures(signatures, example_request),
        "Data": _data(report),
        "Metrics": _metrics(report),
        "Training": _training(report),
        "Configuration": _table(("Setting", "Value"), flatten(report.config).items()),
    }
    parts = [f"# {_plain(report.title)}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(parts) + "\n"


def _description(report: Report) -> str:
    """Says what the model maps to what."""
    names = ", ".join(_plain(name) for name in report.class_names)
    return (
        f"{_plain(report.subtitle)}.\n\n"
        f"A classifier of {len(report.class_names)} classes: {names}."
    )


def _measured_limits(report: Report) -> list[str]:
    """Derives what to beware of from the figures."""
    test = report.metrics["test"]
    classes = per_class_table(report.scores, report.labels, list(report.class_names))
    seen = classes[classes["support"] > 0]
    weakest = seen["recall"].idxmin()
    return [
        "Every input gets one of the classes, also one that belongs to none of them.",
        (
            f"Weakest class of the test split: {weakest}, of which "
            f"{percent(seen['recall'].min())} were found."
        ),
        (
            "Scores differ from the share of right answers by "
            f"{percent(test['expected_calibration_error'])} on average over the test "
            "split (expected calibration error)."
        ),
        "The figures hold for data like the test split; no other was measured.",
    ]


def _signatures(
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]], example_request: str
) -> str:
    """Lists the named tensors of each signature, and a request."""
    rows = [
        (f"`{signature}`", direction.removesuffix("s"), f"`{name}`", tensor)
        for signature, directions in signatures.items()
        for direction, tensors in directions.items()
        for name, tensor in tensors.items()
    ]
    table = _table(("Signature", "", "Name", "Tensor"), rows)
    return f"{table}\n\nExample:\n\n{_code(example_request)}"


def _data(report: Report) -> str:
    """Names the data, its licence and what was found in it."""
    dataset = report.dataset
    sizes = ", ".join(f"{name} {size:,}" for name, size in dataset.split_sizes.items())
    rows = {
        "Data set": dataset.title,
        **({"Home page": dataset.url} if dataset.url else {}),
        "Licence": dataset.licence,
        "Citation": dataset.citation,
        "Examples": sizes,
        **flatten(report.findings),
    }
    return _table(("Fact", "Value"), rows.items())


def _metrics(report: Report) -> str:
    """Gives the figures of each split, and those of others beside them."""
    with_area = "roc_auc" in report.metrics["test"]
    rows = [
        (
            split_name(name),
            percent(split["accuracy"]),
            " to ".join(percent(end) for end in split["accuracy_interval"]),
            f"{split['num_errors']:,} of {split['num_examples']:,}",
            *([f"{split['roc_auc']:.4f}"] if with_area else []),
            f"{split['macro_f1']:.4f}",
            f"{split['log_loss']:.4f}",
            percent(split["expected_calibration_error"]),
        )
        for name, split in report.metrics.items()
        if name != "timing"
    ]
    measured = (
        "Split",
        "Accuracy",
        "95% interval",
        "Mistakes",
        *(["ROC AUC"] if with_area else []),
        "Macro F1",
        "Log loss",
        "Calibration error",
    )
    text = _table(measured, rows)
    if not report.references:
        return text
    published = [
        (
            row["reference"].name,
            percent(row["reference"].accuracy),
            percent(row["difference"]),
            f"{percent(row['low'])} to {percent(row['high'])}",
            f"{row['reference'].source}, {row['reference'].url}",
        )
        for row in compare(report)
    ]
    header = ("Published", "Accuracy", "Ours minus it", "95% interval", "Source")
    return f"{text}\n\n{_table(header, published)}"


def _training(report: Report) -> str:
    """Tells the cost, and the hardware, precision and versions it was paid on."""
    timing = {
        name: quantity(value, name)
        for name, value in report.metrics.get("timing", {}).items()
    }
    cost = {"epochs": str(len(report.history)), **timing}
    environment = flatten(report.environment)
    return "\n\n".join(
        (
            _table(("Cost", "Value"), cost.items()),
            _table(("Environment", "Value"), environment.items()),
        )
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(_plain(cell).replace("|", r"\|") for cell in line) + " |"
        for line in lines
    )


def _bullets(sentences: Iterable[str]) -> str:
    """Lays out a Markdown list."""
    return "\n".join(f"- {_plain(sentence)}" for sentence in sentences)


def _plain(text: Any) -> str:
    """Makes one line of a text and keeps it from being read as HTML."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    """Fences a text with more backticks than it holds in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
