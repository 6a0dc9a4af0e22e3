import dataclasses

import numpy as np
import pytest

from modelyard.evaluation.classification import classification_metrics
from modelyard.evaluation.references import Reference
from modelyard.reporting import classes
from modelyard.reporting.sections import Cell

_URLS = {"source": "A paper", "url": "https://example.org/p"}
_THEIRS = Reference("Theirs", 0.5, **_URLS)


def _with_roc_auc(results):
    metrics = {
        "test": {**results.metrics["test"], "roc_auc": 0.98765},
        "validation": {**results.metrics["test"], "roc_auc": 0.87654},
    }
    return dataclasses.replace(results, metrics=metrics)


def test_headline_is_the_accuracy_with_its_interval(make_results):
    card = classes.headline(make_results())
    assert (card.label, card.value) == ("Test accuracy", "92.50%")
    assert card.note == "95% interval 80.14% to 97.42%, from 40 test examples"


def test_cards_have_mistakes_log_loss_and_calibration(make_results):
    results = make_results()
    shown = {card.label: (card.value, card.note) for card in classes.cards(results)}
    assert list(shown) == ["Mistakes", "Log loss", "Calibration error"]
    assert shown["Mistakes"] == ("3", "of 40")
    log_loss = -np.mean(
        np.log(results.scores[np.arange(40), results.labels].astype(float))
    )
    assert float(shown["Log loss"][0]) == pytest.approx(log_loss, abs=1e-4)
    assert shown["Calibration error"][0] == "10.50%"  # 0.925 - 0.82


def test_roc_auc_is_shown_where_it_was_computed(make_results):
    results = make_results(num_classes=2, num_errors=1)
    assert "ROC AUC" not in [card.label for card in classes.cards(results)]
    assert "ROC AUC" not in classes.detail_sections(results)[0].header
    assert "ROC AUC" not in classes.card_tables(results)[0].header
    results = _with_roc_auc(results)
    assert classes.cards(results)[-1].label == "ROC AUC"
    assert classes.cards(results)[-1].value == "0.9877"
    splits = classes.detail_sections(results)[0]
    column = splits.header.index("ROC AUC")
    assert [row[column] for row in splits.rows] == ["0.9877", "0.8765"]
    assert classes.card_tables(results)[0].rows[0][column] == "0.9877"


@pytest.mark.parametrize(("num_classes", "is_shown"), [(5, False), (6, True)])
def test_top_5_accuracy_is_shown_for_more_than_five_classes(
    make_results, num_classes, is_shown
):
    splits = classes.detail_sections(make_results(num_classes))[0]
    assert ("Top 5" in splits.header) == is_shown


def test_every_split_has_a_row_of_metrics(make_results):
    results = make_results()
    metrics = {**results.metrics, "test_tta": results.metrics["test"]}
    splits = classes.detail_sections(dataclasses.replace(results, metrics=metrics))[0]
    assert [row[0] for row in splits.rows] == [
        "Test",
        "Validation",
        "Test, test-time augmentation",
    ]
    assert splits.rows[0][1:4] == ["92.50%", "80.14% to 97.42%", "3 of 40"]


def test_classes_have_precision_recall_and_support(make_results):
    section = classes.detail_sections(make_results())[2]
    assert section.title == "Classes"
    assert section.rows[0] == ("class0", "100.00%", "75.00%", "0.8571", "4")


def test_published_values_stand_below_ours(make_results):
    assert classes.summary_sections(make_results()) == []
    (section,) = classes.summary_sections(make_results(references=(_THEIRS,)))
    ours, theirs = section.rows
    assert ours[:2] == ["This run", Cell("92.50%", style="strong")]
    assert theirs[:4] == ["Theirs", "50.00%", "+42.50%", "30.14% to 47.42%"]
    assert theirs[4] == Cell("higher", style="higher")
    assert theirs[5] == Cell("A paper", url=_THEIRS.url, note="(taken as exact)")


def test_comparison_says_when_there_is_no_clear_difference(make_results):
    references = (
        Reference("better", 0.999, num_examples=100000, **_URLS),
        Reference("alike", 0.9, num_examples=40, **_URLS),
        _THEIRS,
    )
    results = make_results(references=references)
    verdicts = [row["verdict"] for row in classes.compare(results)]
    assert verdicts == ["lower", "no clear difference", "higher"]
    (section,) = classes.summary_sections(results)
    styles = [row[4].style for row in section.rows[1:]]
    assert styles == ["lower", "", "higher"]
    notes = [row[5].note for row in section.rows[1:]]
    assert notes == ["", "", "(taken as exact)"]


def test_model_card_has_the_metrics_and_the_published_values(make_results):
    metrics, published = classes.card_tables(make_results(references=(_THEIRS,)))
    assert metrics.header[:4] == ["Split", "Accuracy", "95% interval", "Mistakes"]
    assert metrics.rows[0][:4] == ["Test", "92.50%", "80.14% to 97.42%", "3 of 40"]
    assert published.rows == [
        (
            "Theirs",
            "50.00%",
            "42.50%",
            "30.14% to 47.42%",
            "A paper, https://example.org/p",
        )
    ]
    assert len(classes.card_tables(make_results())) == 1


def test_limits_name_the_weakest_class(make_results):
    limits = classes.measured_limits(make_results(num_classes=4, num_errors=1))
    assert any("class0, with a recall of 75.00%" in line for line in limits)
    assert any("10.50%" in line for line in classes.measured_limits(make_results()))


def test_a_class_without_test_examples_is_not_called_the_weakest(make_results):
    scores = np.array([[0.9, 0.05, 0.05], [0.1, 0.2, 0.7]], np.float32)
    labels = np.array([0, 2])
    results = make_results(
        class_names=["cat", "dog", "bird"],
        scores=scores,
        labels=labels,
        metrics={"test": classification_metrics(scores, labels)},
        images=None,
    )
    assert not any("dog" in line for line in classes.measured_limits(results))


def test_metrics_of_other_scores_are_refused(make_results):
    results = make_results()
    metrics = {"test": {**results.metrics["test"], "accuracy": 0.99}}
    with pytest.raises(ValueError, match="37 of 40 predictions are right"):
        dataclasses.replace(results, metrics=metrics)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((40, 8, 8, 1), np.float32), "`images` must be uint8.*float32"),
        (np.zeros((40, 8, 8, 2), np.uint8), r"`images` must be.*\(40, 8, 8, 2\)"),
        (np.zeros((39, 8, 8, 1), np.uint8), "one row per test.*'images': 39"),
    ],
)
def test_images_that_do_not_fit_are_refused(make_results, images, message):
    with pytest.raises(ValueError, match=message):
        make_results(images=images)


@pytest.mark.parametrize(("num_classes", "channels"), [(2, 3), (30, 1), (100, 3)])
def test_page_of_few_and_many_classes(
    render, make_facts, make_results, make_classifier_page, num_classes, channels
):
    results = make_results(num_classes=num_classes, channels=channels)
    text, page = render(make_classifier_page(make_facts(), results))
    assert ('class="matrix' in text) == (num_classes <= 30)
    assert len(page.all("svg")) == (4 if num_classes <= 30 else 5)
    assert len(page.all("img")) == min(30, len(results.labels)) + 3


def test_page_shows_the_results(render, make_facts, make_results, make_classifier_page):
    results = make_results(references=(_THEIRS,))
    _, page = render(make_classifier_page(make_facts(), results))
    for words in (
        "Pictures: 92.50%",
        "Test accuracy 92.50% 95% interval 80.14% to 97.42%, from 40 test examples",
        "Mistakes 3 of 40",
        "Theirs 50.00% +42.50% 30.14% to 47.42% higher A paper (taken as exact)",
        "Test 92.50% 80.14% to 97.42% 3 of 40",
        "class0 100.00% 75.00% 0.8571 4",
        "class0 class1 1 25.0%",
        "All 3 mistakes, most confident first",
        "class1 → class2 82.0%",
    ):
        assert words in page.text, words


def test_page_of_examples_that_are_not_images(
    render, make_facts, make_results, make_classifier_page
):
    page = make_classifier_page(make_facts(), make_results(images=None))
    _, shown = render(page)
    assert not shown.all("img")
    assert "test images" not in shown.text


def test_hostile_class_names_stay_text(
    render, make_facts, make_results, make_classifier_page
):
    names = [
        "<script>alert(1)</script>",
        "\"'><img src=http://example.org/x>",
        "$\\frac{$",
        "{{ report }}",
    ]
    results = make_results(num_classes=4, class_names=names)
    _, page = render(make_classifier_page(make_facts(), results))
    assert not page.all("script")
    assert all(a["src"].startswith("data:") for a in page.all("img"))
    for name in names:
        assert name in page.text
