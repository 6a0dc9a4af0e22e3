"""Facts, results and pages that the tests of `reporting` share."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from modelyard.evaluation.classification import classification_metrics
from modelyard.reporting import classes
from modelyard.reporting.classes import ClassificationResults
from modelyard.reporting.page import render_page
from modelyard.reporting.run_page import DatasetFacts, RunFacts, make_run_page


class ParsedPage(HTMLParser):
    """Collects elements and text, and checks that elements are closed in order."""

    void = frozenset({"meta", "link", "img", "br", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.continues = False
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)
        self.continues = tag == "wbr"

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        if self.continues:
            self.words[-1] += data
        else:
            self.words.append(data)
        self.continues = False

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def _make_facts(*, validation=True, **fields):
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "loss": [2.0, 0.1],
            "accuracy": [0.5, 0.98],
            "learning_rate": [1e-3, 1e-4],
            "seconds": [1.5, 3.0],
        }
    )
    if validation:
        history = history.assign(val_loss=[1.5, 0.2], val_accuracy=[0.6, np.nan])
    values = {
        "title": "Pictures",
        "subtitle": "A model",
        "config": {"epochs": 2, "augment": {"shift": 2}},
        "environment": {"versions": {"keras": "3.15"}, "gpus": []},
        "history": history,
        "timing": {"train_seconds": 83.0, "input_wait_share": 0.1},
        "dataset": DatasetFacts(
            "Some data", "CC0", "Somebody, 2000", "https://example.org/a", {"test": 40}
        ),
    }
    return RunFacts(**{**values, **fields})


def _make_results(
    num_classes=10, num_errors=3, *, channels=1, validation=True, **fields
):
    rng = np.random.default_rng(0)
    num_examples = 4 * num_classes
    labels = np.arange(num_examples) % num_classes
    predictions = labels.copy()
    predictions[:num_errors] = (predictions[:num_errors] + 1) % num_classes
    scores = np.full((num_examples, num_classes), 0.2 / num_classes, np.float32)
    scores[np.arange(num_examples), predictions] += 0.8
    test = classification_metrics(scores, labels)
    values = {
        "class_names": [f"class{i}" for i in range(num_classes)],
        "labels": labels,
        "scores": scores,
        "metrics": {"test": test, **({"validation": test} if validation else {})},
        "images": rng.integers(0, 256, (num_examples, 8, 8, channels), np.uint8),
    }
    return ClassificationResults(**{**values, **fields})


def _make_classifier_page(facts, results, sections=(), export=None):
    """As the classification pipelines compose it."""
    return make_run_page(
        facts,
        headline=classes.headline(results),
        cards=classes.cards(results),
        summary=classes.summary_sections(results),
        details=[*sections, *classes.detail_sections(results)],
        export=export,
    )


@pytest.fixture(scope="session")
def make_facts():
    return _make_facts


@pytest.fixture(scope="session")
def make_results():
    return _make_results


@pytest.fixture(scope="session")
def make_classifier_page():
    return _make_classifier_page


@pytest.fixture(scope="session")
def render():
    """Renders a page; returns its HTML and the parsed page."""

    def render_and_parse(page):
        text = render_page(page)
        return text, ParsedPage(text)

    return render_and_parse
