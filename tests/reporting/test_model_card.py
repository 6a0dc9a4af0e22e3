import numpy as np
import pandas as pd
import pytest

from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.references import Reference
from modelyard.reporting.model_card import model_card_text
from modelyard.reporting.report import DatasetFacts, Report


def make_report(**fields):
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
    labels = np.array([0, 0, 1, 1])
    values = {
        "title": "Cats and dogs",
        "subtitle": "A small network",
        "config": {"epochs": 1},
        "environment": {"cpu": "Some CPU", "dtype_policy": "float32"},
        "history": pd.DataFrame(
            {
                "epoch": [1],
                "loss": [0.5],
                "accuracy": [0.7],
                "learning_rate": [0.1],
                "seconds": [2.0],
            }
        ),
        "metrics": {
            "test": classification_metrics(scores, labels),
            "timing": {"train_seconds": 75.0},
        },
        "class_names": ["cat", "dog"],
        "images": None,
        "labels": labels,
        "scores": scores,
        "dataset": DatasetFacts(
            "Pets", "CC BY 4.0", "Somebody, 2000", "https://example.org", {"test": 4}
        ),
        "findings": {"duplicates": 3},
    }
    return Report(**{**values, **fields})


def write_card(report, **fields):
    values = {
        "intended_use": "Tells cats from dogs.",
        "limits": ["Not for wolves."],
        "signatures": {
            "serve_bytes": {
                "inputs": {"image_bytes": "string (batch,)"},
                "outputs": {"scores": "float32 (batch, 2)"},
            }
        },
        "example_request": "curl -d '{}' http://localhost:8501/v1/models/pets:predict",
    }
    return model_card_text(report, **{**values, **fields})


def section(card, title):
    return card.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def test_card_tells_what_a_user_needs():
    card = write_card(make_report())
    assert card.startswith("# Cats and dogs\n")
    assert "2 classes: cat, dog." in section(card, "What it is")
    assert section(card, "Intended use") == "Tells cats from dogs."
    signatures = section(card, "Inputs and outputs")
    assert "| `serve_bytes` | input | `image_bytes` | string (batch,) |" in signatures
    assert "| `serve_bytes` | output | `scores` | float32 (batch, 2) |" in signatures
    assert "```\ncurl -d '{}' http" in signatures
    data = section(card, "Data")
    assert "| Licence | CC BY 4.0 |" in data
    assert "| duplicates | 3 |" in data
    training = section(card, "Training")
    assert "| train_seconds | 1 min 15 s |" in training
    assert "| cpu | Some CPU |" in training
    assert "| dtype_policy | float32 |" in training


def test_card_gives_the_metrics_with_intervals():
    reference = Reference("Theirs", 0.9, "A paper", "https://example.org/p", None)
    metrics = section(write_card(make_report(references=(reference,))), "Metrics")
    assert "| Test | 75.00% | 30.06% to 95.44% | 1 of 4 |" in metrics
    assert "| Theirs | 90.00% | \N{MINUS SIGN}15.00% |" in metrics


def test_card_gives_the_roc_auc_where_it_was_computed():
    report = make_report()
    test = {**report.metrics["test"], "roc_auc": 0.98765}
    assert "ROC AUC" not in write_card(report)
    metrics = section(write_card(make_report(metrics={"test": test})), "Metrics")
    assert "| Mistakes | ROC AUC | Macro F1 |" in metrics
    assert "| 1 of 4 | 0.9877 |" in metrics


def test_card_names_the_weakest_class_among_the_limits():
    limits = section(write_card(make_report()), "Limits").splitlines()
    assert limits[0] == "- Not for wolves."
    assert any("dog, of which 50.00% were found" in line for line in limits)


def test_a_class_without_test_examples_is_not_called_the_weakest():
    scores = np.array([[0.9, 0.05, 0.05], [0.1, 0.2, 0.7]], np.float32)
    labels = np.array([0, 2])
    report = make_report(
        class_names=["cat", "dog", "bird"],
        scores=scores,
        labels=labels,
        metrics={"test": classification_metrics(scores, labels)},
    )
    assert "dog, of which" not in write_card(report)


@pytest.mark.parametrize("name", ["a|b", "a\nb", "<script>"])
def test_hostile_names_do_not_break_the_layout(name):
    report = make_report(findings={name: name}, class_names=[name, "dog"], title=name)
    card = write_card(report)
    assert "<script>" not in card
    rows = section(card, "Data").splitlines()
    assert len(rows) == 8
    assert all(row.replace(r"\|", "").count("|") == 3 for row in rows)


def test_a_request_with_backticks_stays_in_its_fence():
    card = write_card(make_report(), example_request="```\n# not a title")
    assert "````\n```\n# not a title\n````" in card
