import dataclasses
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.references import Reference
from modelyard.reporting.figures import learning_curve_figure, picture_uri
from modelyard.reporting.report import (
    DatasetFacts,
    Report,
    compare,
    write_report,
)
from modelyard.reporting.sections import Explained, ExplainedText, Section
from modelyard.training.files import StorageError

# Elements that may name something to load, and the attributes that name it.
LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction"}


class Page(HTMLParser):
    """Collects elements and text, and checks that elements are closed in order."""

    void = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(text)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not (self.open and self.open[-1] == "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make_report(num_classes=10, num_errors=3, channels=1, validation=True, **fields):
    rng = np.random.default_rng(0)
    num_examples = 4 * num_classes
    labels = np.arange(num_examples) % num_classes
    predictions = labels.copy()
    predictions[:num_errors] = (predictions[:num_errors] + 1) % num_classes
    scores = np.full((num_examples, num_classes), 0.2 / num_classes, np.float32)
    scores[np.arange(num_examples), predictions] += 0.8
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "loss": [2.0, 0.1],
            "accuracy": [0.5, 0.98],
            "learning_rate": [1e-3, 1e-4],
            "seconds": [1.5, 3.0],
        }
    )
    test = classification_metrics(scores, labels)
    metrics = {"test": test, "timing": {"train_seconds": 83.0, "input_wait_share": 0.1}}
    if validation:
        history = history.assign(val_loss=[1.5, 0.2], val_accuracy=[0.6, np.nan])
        metrics["validation"] = test
    values = {
        "title": "Pictures",
        "subtitle": "A model",
        "config": {"epochs": 2, "augment": {"shift": 2}},
        "environment": {"versions": {"keras": "3.15"}, "gpus": []},
        "history": history,
        "metrics": metrics,
        "class_names": [f"class{i}" for i in range(num_classes)],
        "images": rng.integers(0, 256, (num_examples, 8, 8, channels), np.uint8),
        "labels": labels,
        "scores": scores,
        "dataset": DatasetFacts(
            "Some data", "CC0", "Somebody, 2000", "https://example.org/a", {"test": 40}
        ),
    }
    return Report(**{**values, **fields})


def write_page(tmp_path, report):
    write_report(tmp_path / "report.html", report)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    return text, page


@pytest.fixture(scope="module")
def full_page(tmp_path_factory):
    report = make_report(
        references=(Reference("Theirs", 0.5, "A paper", "https://example.org", None),),
        findings={"duplicates": {"in test and train": 7}},
        export_path="saved_models/pictures/1",
        predict_command="modelyard predict A",
        serve_command="modelyard serve B",
    )
    return write_page(tmp_path_factory.mktemp("page"), report)


def test_page_loads_nothing(full_page):
    text, page = full_page
    assert not page.all("script")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in LOADING:
                assert value.startswith("data:image/png;base64,")
            elif name.endswith("href") and tag != "a":
                assert value.startswith(("#", "data:,"))
    assert "@import" not in text
    for address in re.findall(r"url\(([^)]*)\)", text):
        assert address.startswith("#")
    policy = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_what_the_figures_refer_to_is_in_the_page(full_page):
    text, page = full_page
    ids = {a["id"] for _, a in page.elements if "id" in a}
    used = {a["xlink:href"][1:] for a in page.all("use")}
    clips = set(re.findall(r"url\(#([^)]*)\)", text))
    assert used
    assert clips
    assert used | clips <= ids
    assert len(page.all("svg")) == 4


def test_page_shows_the_figures_of_the_run(full_page):
    _, page = full_page
    for words in (
        "Test accuracy 92.50% 95% interval 80.14% to 97.42%, from 40 test examples",
        "Mistakes 3 of 40",
        "Training time 1 min 23 s 2 epochs",
        "Waiting for input 10.0%",
        "Theirs 50.00% +42.50% 30.14% to 47.42% ours is higher",
        "class0 100.00% 75.00% 0.8571 4",
        "class0 class1 1 25.0%",
        "All 3 mistakes, surest first",
        "class1 → class2 82.0%",
        "duplicates.in test and train 7",
        "saved_models/pictures/1",
        "modelyard predict A",
        "modelyard serve B",
        "augment.shift 2",
        "versions.keras 3.15",
        "gpus none",
        "CC0",
    ):
        assert words in page.text, words


def test_confusion_matrix_counts_true_rows_and_predicted_columns(tmp_path):
    text, _ = write_page(tmp_path, make_report(num_classes=3, num_errors=1))
    matrix = text[text.index('<table class="matrix') :].split("</table>")[0]
    rows = [re.findall(r">(\d+)</td>", row) for row in matrix.split("</tr>")[1:-1]]
    assert rows == [["3", "1", "0"], ["0", "4", "0"], ["0", "0", "4"]]


def test_hostile_names_stay_text(tmp_path):
    evil = "<script>alert(1)</script>"
    quote = "\"'><img src=http://example.org/x>"
    names = [evil, quote, "$\\frac{$", "{{ report }}"]
    report = make_report(
        num_classes=4,
        class_names=names,
        title=evil,
        subtitle=quote,
        config={evil: quote},
        findings={quote: evil},
        export_path=evil,
        predict_command=quote,
        references=(Reference(evil, 0.5, quote, 'https://e.org/"onload="x', 10),),
    )
    _, page = write_page(tmp_path, report)
    assert not page.all("script")
    assert all(a["src"].startswith("data:") for a in page.all("img"))
    assert not any("onload" in a for _, a in page.elements)
    assert evil in page.text
    assert "$\\frac{$" in page.text
    assert "{{ report }}" in page.text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", "//example.org"])
def test_links_other_than_http_are_refused(url):
    with pytest.raises(ValueError, match="`url` must begin with http"):
        make_report(references=(Reference("Theirs", 0.5, "A paper", url),))


@pytest.mark.parametrize(("num_classes", "channels"), [(2, 3), (30, 1), (100, 3)])
def test_page_of_few_and_many_classes(tmp_path, num_classes, channels):
    report = make_report(num_classes=num_classes, channels=channels)
    text, page = write_page(tmp_path, report)
    assert ('class="matrix' in text) == (num_classes <= 30)
    assert len(page.all("svg")) == (4 if num_classes <= 30 else 5)
    assert ("Top 5" in page.text) == (num_classes > 5)


def test_page_without_validation(tmp_path):
    _, page = write_page(tmp_path, make_report(validation=False))
    assert "Validation" not in page.text
    assert "validation" not in page.text


def test_page_without_epochs_has_no_curves(tmp_path):
    report = make_report(history=pd.DataFrame())
    _, page = write_page(tmp_path, report)
    assert "Learning rate" not in page.text
    assert "Every epoch" not in page.text
    assert "Test accuracy 92.50%" in page.text


def test_sections_of_the_run_are_shown(tmp_path):
    evil = "<script>alert(1)</script>"
    picture = picture_uri(np.zeros((8, 8, 1), np.uint8))
    seen = Explained(picture, picture, true="cat", predicted=evil, score=0.75)
    sections = [
        Section(
            title=evil,
            note="A note.",
            header=("Phase", "Test"),
            rows=[("first", "80%"), (evil, "90%")],
            figure=learning_curve_figure({"line": [(10, 0.5), (100, 0.6)]}),
        ),
        Section(title="Why", explained=[seen]),
    ]
    _, page = write_page(tmp_path, make_report(sections=sections))
    assert not page.all("script")
    assert f"{evil} A note. Phase Test first 80% {evil} 90%" in page.text
    assert len(page.all("svg")) == 5
    assert f"cat → {evil} 75.0%" in page.text
    assert [i["alt"] for i in page.all("img")].count("its heat map") == 1


def test_texts_show_what_their_words_did(tmp_path):
    evil = "<script>alert(1)</script>"
    words = [("good", 1.0), (evil, -0.25), ("film", 0.0)]
    seen = ExplainedText(words, true="neg", predicted=evil, score=0.75)
    report = make_report(sections=[Section(title="Mistakes", texts=[seen])])
    text, page = write_page(tmp_path, report)
    assert not page.all("script")
    assert f"Mistakes neg → {evil} 75.0% good {evil} film" in page.text
    spans = [a for a in page.all("span") if "style" in a]
    assert [(a["class"], a["style"]) for a in spans] == [
        ("for", "--share: 1.00"),
        ("against", "--share: 0.25"),
        ("for", "--share: 0.00"),
    ]
    assert ".words .against" in text
    assert "colours" not in page.text
    rough = dataclasses.replace(seen, is_rough=True)
    report = make_report(sections=[Section(title="Mistakes", texts=[rough])])
    assert "75.0%, colours are rough good" in write_page(tmp_path, report)[1].text


def test_roc_auc_is_shown_where_it_was_computed(tmp_path):
    report = make_report(num_classes=2, num_errors=1)
    assert "ROC AUC" not in write_page(tmp_path, report)[1].text
    metrics = {
        **report.metrics,
        "test": {**report.metrics["test"], "roc_auc": 0.98765},
        "validation": {**report.metrics["test"], "roc_auc": 0.87654},
    }
    _, page = write_page(tmp_path, dataclasses.replace(report, metrics=metrics))
    assert "ROC AUC 0.9877 1 is best" in page.text
    assert "1 of 8 0.9877" in page.text
    assert "1 of 8 0.8765" in page.text


def test_page_without_mistakes(tmp_path):
    _, page = write_page(tmp_path, make_report(num_errors=0))
    assert "None: all 40 test pictures are classified right." in page.text
    assert "Most frequent confusions" not in page.text


def test_page_of_examples_that_are_no_pictures(tmp_path):
    _, page = write_page(tmp_path, make_report(images=None))
    assert not page.all("img")
    assert "test pictures" not in page.text


def test_drawing_leaves_matplotlibs_settings_alone(tmp_path):
    with mpl.rc_context({"font.size": 33, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        write_report(tmp_path / "report.html", make_report())
        assert dict(mpl.rcParams) == before


def test_the_same_report_gives_the_same_bytes(tmp_path):
    texts = [write_page(tmp_path, make_report())[0] for _ in range(2)]
    assert texts[0] == texts[1]


def test_failing_write_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_report(path, make_report())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_metrics_of_other_scores_are_refused():
    report = make_report()
    metrics = {"test": {**report.metrics["test"], "accuracy": 0.99}}
    with pytest.raises(ValueError, match="37 of 40 predictions are right"):
        dataclasses.replace(report, metrics=metrics)


def test_history_without_a_column_is_refused():
    report = make_report()
    with pytest.raises(ValueError, match=r"`history` must have.*columns=.'epoch'"):
        dataclasses.replace(report, history=report.history[["epoch", "loss"]])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((40, 8, 8, 1), np.float32), "`images` must be uint8.*float32"),
        (np.zeros((40, 8, 8, 2), np.uint8), r"`images` must be.*\(40, 8, 8, 2\)"),
        (np.zeros((39, 8, 8, 1), np.uint8), "same test examples.*'images': 39"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        make_report(images=images)


def test_comparison_says_when_there_is_no_clear_difference():
    urls = {"source": "A paper", "url": "https://example.org"}
    report = make_report(
        references=(
            Reference("better", 0.999, num_examples=100000, **urls),
            Reference("alike", 0.9, num_examples=40, **urls),
        )
    )
    verdicts = [row["verdict"] for row in compare(report)]
    assert verdicts == ["ours is lower", "no clear difference"]
