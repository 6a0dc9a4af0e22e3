"""Runs of the text pipeline that start from a language model, in this process."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from modelyard.models import unfreezing_groups
from modelyard.pipelines import classify_text
from modelyard.pipelines.configs import parse_config
from modelyard.pipelines.recipes import recipe_values
from modelyard.serving.check.saved_model import check_saved_model

_ENCODER = ("embedding", "recurrent0")
_FLAGS = (
    *("--model", "lstm", "--embedding-dim", "8", "--num-layers", "1"),
    *("--pretrain-epochs", "4", "--pretrain-learning-rate", "0.05"),
    *("--pretrain-batch-words", "40", "--max-length", "40"),
    *("--embedding-dropout", "0", "--dropout", "0.1"),
    *("--batch-size", "16", "--no-baseline", "--no-export"),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Spec of 240 reviews that differ in a number, the verdict and what it led to."""
    rng = np.random.default_rng(0)
    verdicts = (("dull", "stale"), ("great", "fresh"))
    rows = [
        {
            "text": f"film {i} was {rng.choice(verdicts[label])} so all of us {end}",
            "label": label,
        }
        for i, (label, end) in enumerate(120 * [(0, "left"), (1, "stayed")])
    ]
    path = tmp_path_factory.mktemp("texts") / "reviews.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return f"csv:{path}?text=text&label=label"


def _run(root, table, *flags):
    roots = ("--runs-dir", str(root / "runs"), "--saved-models-dir", str(root / "sm"))
    arguments = ("--dataset", table, "--validation-share", "0.2", *roots, *flags)
    config, _ = parse_config(classify_text, arguments)
    return classify_text.run(config, console=Console(quiet=True))


def _weights(folder, name="model.keras"):
    """Weights by layer."""
    model = keras.models.load_model(folder / name)
    return {layer.name: layer.get_weights() for layer in model.layers}


@pytest.fixture(scope="module")
def pretrained(table, tmp_path_factory):
    """A run that trains its language model and fine-tunes all of it."""
    root = tmp_path_factory.mktemp("pretrained")
    return _run(root, table, *_FLAGS, "--epochs", "8", "--learning-rate", "0.02")


def test_language_model_learns_what_comes_next(pretrained):
    facts = json.loads((pretrained / "metrics.json").read_text())["language_model"]
    # Only the verdict is open, one of four words; numbers come once and are unknown.
    assert facts["validation_perplexity"] < 2
    assert facts["unigram_perplexity"] > 6
    assert facts["epochs"] == 4
    first = facts["continuations"][0]
    assert first["words"].startswith("film [UNK] was")
    is_good = "great" in first["words"] or "fresh" in first["words"]
    assert first["next"][0][0] == ("stayed" if is_good else "left")
    assert (
        "The language model it started from" in (pretrained / "report.html").read_text()
    )


def test_groups_are_unfrozen_one_an_epoch(pretrained):
    groups = unfreezing_groups(keras.models.load_model(pretrained / "model.keras"))
    history = pd.read_csv(pretrained / "history.csv")
    assert history["epoch"].tolist() == list(range(1, len(groups) + 8))
    assert history["seconds"].is_monotonic_increasing
    metrics = json.loads((pretrained / "metrics.json").read_text())
    assert metrics["timing"]["epochs"] == len(history)
    assert metrics["test"]["accuracy"] > 0.95
    before = _weights(pretrained, "language_model.keras")
    after = _weights(pretrained)
    for name in _ENCODER:
        assert not np.array_equal(before[name][0], after[name][0]), name


def test_fast_recipe_of_imdb_suits_a_language_model(pretrained, table, tmp_path):
    values = recipe_values(classify_text.RECIPES, "fast", "imdb_reviews", "lstm")
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--epochs", "1")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**values, "recipe": "fast", "ngrams": 1}))
    folder = _run(tmp_path, table, "--config", str(config), *flags)
    model = keras.models.load_model(folder / "model.keras")
    assert model.get_layer("pool").mode == values["pooling"]


def test_without_unfreezing_only_the_head_is_trained(pretrained, table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--unfreezing", "none")
    folder = _run(tmp_path, table, *flags, "--epochs", "2")
    before = _weights(pretrained, "language_model.keras")
    after = _weights(folder)
    for name in _ENCODER:
        np.testing.assert_array_equal(before[name][0], after[name][0])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["timing"]["epochs"] == 2
    assert metrics["language_model"]["source"] == str(pretrained)
    assert (folder / "vocabulary.json").read_text() == (
        pretrained / "vocabulary.json"
    ).read_text()


def test_lower_groups_learn_more_slowly(pretrained, table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--epochs", "1")
    folder = _run(
        tmp_path, table, *flags, "--unfreezing", "at_once", "--rate-decay", "1e-9"
    )
    before = _weights(pretrained, "language_model.keras")
    after = _weights(folder)
    # Weight decay is not scaled, hence no equality.
    for name in _ENCODER:
        np.testing.assert_allclose(before[name][0], after[name][0], rtol=1e-2)
    assert np.abs(after["features"][0] - _weights(pretrained)["features"][0]).max() > 0


@pytest.mark.slow
def test_fine_tuned_model_is_exported(pretrained, table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--epochs", "1")
    folder = _run(tmp_path, table, *flags, "--no-baseline")
    path = json.loads((folder / "export.json").read_text())["path"]
    result = check_saved_model(path)
    assert result.ok, [rule for rule in result.rules if rule.ok is False]


def test_folder_without_a_language_model_is_refused(table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(tmp_path))
    message = "`pretrained` must be the folder of a run with .* without language_model"
    with pytest.raises(ValueError, match=message):
        _run(tmp_path, table, *flags)
    assert not list(tmp_path.iterdir())


def test_other_sizes_than_those_of_the_language_model_are_refused(
    pretrained, table, tmp_path
):
    flags = ("--model", "lstm", "--pretrained", str(pretrained))
    with pytest.raises(ValueError, match=r"`embedding_dim` must be .* 8.*=16"):
        _run(tmp_path, table, *flags, "--embedding-dim", "16")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pretrain_epochs": -1}, "`pretrain_epochs` must be at least 0"),
        ({"model": "gru", "pretrain_epochs": 1}, "`pretrain_epochs` must be 0 unless"),
        ({"pretrained": "run"}, "`pretrained` must be left out unless the model is"),
        (
            {"model": "lstm", "pretrained": "run", "pretrain_epochs": 1},
            "without pretrain_epochs",
        ),
        (
            {"model": "lstm", "pretrain_epochs": 1, "optimizer": "adam"},
            "`optimizer` must be sgd or adamw",
        ),
        (
            {"model": "lstm", "pretrain_epochs": 1, "ngrams": 2},
            "`ngrams` must be 1 with a language model",
        ),
        ({"rate_decay": 0.0}, r"`rate_decay` must be in \(0, 1\]"),
        (
            {"model": "lstm", "pretrain_epochs": 1, "pretrain_batch_words": 10},
            "`pretrain_batch_words` must be at least max",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        classify_text.Config(**fields)
