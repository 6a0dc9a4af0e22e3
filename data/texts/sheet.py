"""A plain text overview of a text data set."""

import textwrap

import numpy as np
import pandas as pd

from modelyard.data.class_counts import count_classes
from modelyard.data.texts.excerpts import shorten
from modelyard.data.texts.loading import TextSplits

_PERCENTILES = (0, 25, 50, 75, 95, 99, 100)
_EXCERPT = 300  # Characters.
_MOST_CLASSES = 30
_WIDTH = 88


def describe_texts(splits: TextSplits, *, seed: int = 0) -> str:
    """Describes a text data set.

    Args:
        splits: The data set.
        seed: Seed of the choice of excerpts.

    Returns:
        Lines of plain text: sizes, findings of the checks, examples per class,
        percentiles of the length in words, and the beginning of one training text for
        each of the first 30 classes.
    """
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    sizes = {name: len(part) for name, part in parts.items()}
    if len(splits.unlabelled):
        sizes["unlabelled"] = len(splits.unlabelled)
    findings = {
        name.replace("_", " "): value for name, value in splits.findings.items()
    }
    return "\n".join(
        [
            f"{splits.spec} ({splits.card.title})",
            ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
            "checked: " + "; ".join(f"{name} {v}" for name, v in findings.items()),
            "",
            count_classes(splits).to_string(),
            "",
            _measure_lengths(parts).to_string(),
            "",
            *_excerpts(splits, np.random.default_rng(seed)),
        ]
    )


def _measure_lengths(parts):
    """Returns percentiles of the number of words per text, by split."""
    return pd.DataFrame(
        {
            name: np.percentile(
                [len(text.split()) for text in part.texts], _PERCENTILES
            ).astype(int)
            for name, part in parts.items()
        },
        index=pd.Index([f"{p}%" for p in _PERCENTILES], name="words"),
    )


def _excerpts(splits, rng):
    """Yields the beginning of one training text per class."""
    for label, name in enumerate(splits.class_names[:_MOST_CLASSES]):
        index = rng.choice(np.flatnonzero(splits.train.labels == label))
        text = splits.train.texts[index][: 2 * _EXCERPT]
        excerpt = shorten(text, _EXCERPT)
        yield textwrap.fill(f"{name}: {excerpt}", _WIDTH, subsequent_indent="  ")
