"""The model card that goes with an export, in Markdown."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelyard.reporting.formats import flatten, quantity
from modelyard.reporting.run_page import RunFacts


@dataclasses.dataclass(frozen=True)
class CardTable:
    """A table of the model card.

    Attributes:
        header: Names of the columns.
        rows: Cells as text.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def model_card_text(
    facts: RunFacts,
    *,
    description: str,
    intended_use: str,
    limits: Sequence[str],
    metrics: Sequence[CardTable],
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]],
    example_request: str,
) -> str:
    """Writes the model card, which tells users of an export what they should know.

    Args:
        facts: Facts about the run.
        description: What the model does, in a sentence.
        intended_use: What the model is for, in a sentence or more.
        limits: What it does badly or should not be used for, a sentence each.
        metrics: Tables of metrics.
        signatures: `{"serving_default": {"inputs": {"pixels": "float32 (batch, 28,
            28, 1) in [0, 255]"}, "outputs": {...}}, ...}`.
        example_request: A request with its address, such as a `curl` command.

    Returns:
        Markdown.

    Reference:
        [Mitchell et al., 2019](https://arxiv.org/abs/1810.03993)
    """
    sections = {
        "Description": f"{_plain(facts.subtitle)}.\n\n{_plain(description)}",
        "Intended use": _plain(intended_use),
        "Limits": _bullets(limits),
        "Inputs and outputs": _signatures(signatures, example_request),
        "Data": _data(facts),
        "Metrics": "\n\n".join(_table(table.header, table.rows) for table in metrics),
        "Training": _training(facts),
        "Configuration": _table(("Setting", "Value"), flatten(facts.config).items()),
    }
    parts = [f"# {_plain(facts.title)}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(parts) + "\n"


def image_request(name: str) -> str:
    """Returns a `curl` command that sends an image file to a model of TF Serving."""
    return (
        "curl http://localhost:8501/v1/models/"
        f'{name}:predict -d \'{{"signature_name": "serve_bytes", '
        '"instances": [{"b64": "\'$(base64 -w0 picture.png)\'"}]}\''
    )


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


def _data(facts: RunFacts) -> str:
    """Names the data, its licence and what was found in it."""
    dataset = facts.dataset
    sizes = ", ".join(f"{name} {size:,}" for name, size in dataset.split_sizes.items())
    rows = {
        "Data set": dataset.title,
        **({"Home page": dataset.url} if dataset.url else {}),
        "Licence": dataset.licence,
        "Citation": dataset.citation,
        "Examples": sizes,
        **flatten(facts.findings),
    }
    return _table(("Fact", "Value"), rows.items())


def _training(facts: RunFacts) -> str:
    """States the cost, and the hardware, precision and versions behind it."""
    timing = {name: quantity(value, name) for name, value in facts.timing.items()}
    cost = {"epochs": str(len(facts.history)), **timing}
    environment = flatten(facts.environment)
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
    """Puts a text on one line, and escapes HTML."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    """Fences a text with more backticks than its longest run of them."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
