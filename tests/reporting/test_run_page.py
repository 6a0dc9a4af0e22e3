from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.reporting.figures import enlarged_uri
from modelyard.reporting.formats import metric_text
from modelyard.reporting.run_page import DatasetFacts, ExportFacts, make_run_page
from modelyard.reporting.sections import Card, ColouredText, Picture, Section

_HEADLINE = Card("Score", "12.3", "from 40 test examples")


def _make_page(facts, **fields):
    values = {"headline": _HEADLINE, "cards": [], "summary": [], "details": []}
    return make_run_page(facts, **{**values, **fields})


def _titles(page):
    return [section.title for section in page.sections]


def test_sections_of_the_task_stand_around_the_training_curves(make_facts):
    page = _make_page(
        make_facts(),
        summary=[Section(title="Before")],
        details=[Section(title="After")],
        export=ExportFacts(Path("pictures/1"), "modelyard predict"),
    )
    assert _titles(page) == [
        "Before",
        "Training",
        "After",
        "Use the exported model",
        "Data",
        "Timings",
        "Environment",
        "Configuration",
    ]


def test_page_states_the_facts_of_the_run(render, make_facts):
    facts = make_facts(
        findings={"duplicates": {"in test and train": 7}},
        timing={
            "train_seconds": 83.0,
            "input_wait_share": 0.1,
            "examples_per_second": 1234.5,
            "load_seconds": 2.0,
        },
        unit="images",
    )
    _, page = render(_make_page(facts))
    for words in (
        "Pictures: 12.3 Pictures A model Score 12.3 from 40 test examples",
        "Training time 1 min 23 s 2 epochs",
        "Training speed 1,234 images/s",
        "Waiting for input 10.0% of the training time",
        "Data set Some data Examples test 40 Licence CC0 Citation Somebody, 2000",
        "duplicates.in test and train 7",
        "load_seconds 2 s",
        "augment.shift 2",
        "versions.keras 3.15",
        "gpus none",
    ):
        assert words in page.text, words


def test_speeds_that_were_not_measured_have_no_card(make_facts):
    page = _make_page(make_facts(timing={}), cards=[Card("Other", "1")])
    assert [card.label for card in page.cards] == ["Other"]
    assert "Timings" not in _titles(page)


def test_training_shows_curves_and_every_epoch(render, make_facts):
    text, page = render(_make_page(make_facts()))
    assert "Training Loss" in page.text
    assert len(page.all("svg")) == 3
    assert len(page.all("details")) == 1
    assert "Every epoch epoch loss accuracy learning_rate seconds" in page.text
    assert "1 2 0.5 0.001 1.5 s 1.5 0.6" in page.text
    assert ">validation<" in text


def test_training_without_validation_does_not_name_it(render, make_facts):
    text, _ = render(_make_page(make_facts(validation=False)))
    assert "validation" not in text.lower()


def test_page_without_epochs_has_no_curves(render, make_facts):
    _, page = render(_make_page(make_facts(history=pd.DataFrame())))
    assert not page.all("svg")
    assert "Every epoch" not in page.text
    assert "epochs 2" in page.text  # The setting.
    assert "Training time 1 min 23 s Waiting" in page.text


def test_history_without_a_column_is_refused(make_facts):
    history = make_facts().history[["epoch", "loss"]]
    with pytest.raises(ValueError, match=r"`history` must have.*columns=.'epoch'"):
        make_facts(history=history)


def test_data_set_without_a_home_page_is_no_link(render, make_facts):
    dataset = DatasetFacts("My pictures", "unknown", "none", "", {"test": 4})
    _, page = render(_make_page(make_facts(dataset=dataset)))
    assert "Data set My pictures" in page.text
    assert not page.all("a")


def test_home_page_that_would_run_code_is_refused(make_facts):
    dataset = DatasetFacts("Data", "CC0", "none", "javascript:alert(1)", {"test": 4})
    with pytest.raises(ValueError, match="`url` must begin with http"):
        _make_page(make_facts(dataset=dataset))


def test_export_is_shown_with_commands_that_can_be_pasted(render, make_facts, tmp_path):
    path = tmp_path / "my models" / "pictures" / "3"
    export = ExportFacts(path, "modelyard predict A")
    _, page = render(_make_page(make_facts(), export=export))
    assert f"Directory {path}" in page.text
    assert "Predict modelyard predict A" in page.text
    assert (
        "Serve tensorflow_model_server --rest_api_port=8501 --model_name=pictures "
        f"--model_base_path='{path.parent}'"
    ) in page.text
    _, page = render(_make_page(make_facts()))
    assert "tensorflow_model_server" not in page.text


def test_page_of_a_regression(render, make_facts):
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "loss": [400.0, 10.0],
            "mean_absolute_error": [18.0, 3.5],
            "val_loss": [300.0, 12.0],
            "val_mean_absolute_error": [16.0, 4.0],
            "learning_rate": [1e-3, 1e-4],
            "seconds": [1.5, 3.0],
        }
    )
    test = {"mean_absolute_error": 3.1416, "explained_variance": 0.875}
    headline = Card("Mean absolute error", "3.142 years")
    rows = [["Test", *(metric_text(name, value) for name, value in test.items())]]
    results = Section(title="Results", header=["Split", *test], rows=rows)
    text, page = render(
        _make_page(make_facts(history=history), headline=headline, details=[results])
    )
    assert "Mean absolute error 3.142 years" in page.text
    assert "Test 3.142 87.50%" in page.text
    assert len(page.all("svg")) == 3
    assert 'aria-label="mean-absolute-error"' in text
    assert "ccuracy" not in text
    assert "class0" not in text


def test_page_of_pictures(render, make_facts):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
    pictures = [
        Picture(
            {"original": enlarged_uri(image), "reconstruction": enlarged_uri(image)},
            note="31.5 dB",
        )
        for image in images
    ]
    section = Section(title="Reconstructions", pictures=pictures)
    headline = Card("Test PSNR", metric_text("psnr", 31.5))
    _, page = render(_make_page(make_facts(), headline=headline, details=[section]))
    assert "Test PSNR 31.50 dB" in page.text
    assert "Reconstructions 31.5 dB 31.5 dB 31.5 dB" in page.text
    alts = [a["alt"] for a in page.all("img")]
    assert alts == 3 * ["original", "reconstruction"]


def test_page_of_texts(render, make_facts):
    texts = [ColouredText([("Once", 0.0), ("upon", 0.0)], caption="Greedy")]
    section = Section(title="Samples", texts=texts)
    headline = Card("Test perplexity", metric_text("perplexity", 87.25))
    _, page = render(_make_page(make_facts(), headline=headline, details=[section]))
    assert "Test perplexity 87.25" in page.text
    assert "Samples Greedy Once upon" in page.text
