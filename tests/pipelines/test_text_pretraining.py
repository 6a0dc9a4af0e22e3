"""Runs of the text pipeline that start from a language model, in this process."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

from modelyard.data.settings import make_config
from modelyard.models import unfreezing_groups
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.classify_text.config import RECIPES, Config
from modelyard.pipelines.common import language_model
from modelyard.pipelines.common.command import parse_config
from modelyard.pipelines.common.recipes import recipe_values
from modelyard.training import fit

from .conftest import arguments_in, run_in, train_text

pytestmark = pytest.mark.slow

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


def _train(root, table, *flags):
    """Trains without report and export."""
    given = ("--dataset", table, "--validation-share", "0.2", *flags)
    arguments = arguments_in(root, *given)
    config, _ = parse_config(find_pipeline("classify-text"), arguments)
    return train_text(config)


def _weights(model):
    """Weights by layer."""
    return {layer.name: layer.get_weights() for layer in model.layers}


def _load(folder, name="model.keras"):
    """Weights of a saved model by layer."""
    return _weights(keras.models.load_model(folder / name))


@pytest.fixture(scope="module")
def pretrained(table, tmp_path_factory):
    """A run that trains its language model and fine-tunes all of it."""
    root = tmp_path_factory.mktemp("pretrained")
    given = ("--dataset", table, "--validation-share", "0.2", *_FLAGS)
    few = ("--epochs", "8", "--learning-rate", "0.02")
    return run_in(root, "classify-text", *given, *few)


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
    assert "Pretrained language model" in (pretrained / "report.html").read_text()


def test_groups_are_unfrozen_one_an_epoch(pretrained):
    groups = unfreezing_groups(keras.models.load_model(pretrained / "model.keras"))
    history = pd.read_csv(pretrained / "history.csv")
    assert history["epoch"].tolist() == list(range(1, len(groups) + 8))
    assert history["seconds"].is_monotonic_increasing
    metrics = json.loads((pretrained / "metrics.json").read_text())
    assert metrics["timing"]["epochs"] == len(history)
    assert metrics["test"]["accuracy"] > 0.95
    before = _load(pretrained, "language_model.keras")
    after = _load(pretrained)
    for name in _ENCODER:
        assert not np.array_equal(before[name][0], after[name][0]), name


def test_fast_recipe_of_imdb_suits_a_language_model(pretrained, table, tmp_path):
    values = recipe_values(RECIPES, "fast", "imdb_reviews", "lstm")
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--epochs", "1")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**values, "recipe": "fast", "ngrams": 1}))
    once = ("--unfreezing", "at_once")
    trained = _train(tmp_path, table, "--config", str(config), *flags, *once)
    assert trained.model.get_layer("pool").mode == values["pooling"]


def test_without_unfreezing_only_the_head_is_trained(pretrained, table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--unfreezing", "none")
    trained = _train(tmp_path, table, *flags, "--epochs", "2")
    before = _load(pretrained, "language_model.keras")
    after = _weights(trained.model)
    for name in _ENCODER:
        np.testing.assert_array_equal(before[name][0], after[name][0])
    assert trained.progress.epoch == 2
    assert trained.facts["language_model"]["source"] == str(pretrained)


def test_lower_groups_learn_more_slowly(pretrained, table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(pretrained), "--epochs", "1")
    slow = ("--unfreezing", "at_once", "--rate-decay", "1e-9")
    trained = _train(tmp_path, table, *flags, *slow)
    before = _load(pretrained, "language_model.keras")
    after = _weights(trained.model)
    # Weight decay is not scaled, so they are not equal.
    for name in _ENCODER:
        np.testing.assert_allclose(before[name][0], after[name][0], rtol=1e-2)
    assert np.abs(after["features"][0] - _load(pretrained)["features"][0]).max() > 0


def test_run_interrupted_in_both_trainings_ends_with_the_same_weights(
    pretrained, tmp_path, monkeypatch
):
    """First in the language model, then in a stage of the classifier's fine-tuning."""
    config, _ = parse_config(
        find_pipeline("classify-text"),
        ["--config", str(pretrained / "config.json"), "--runs-dir", str(tmp_path)],
    )
    save_epoch = fit.save_epoch

    def interrupt_at(part):
        def interrupt(folder, *values):
            save_epoch(folder, *values)
            if folder.parent.name == part:
                raise KeyboardInterrupt

        return interrupt

    resume = None
    for part in ("language_model", "2"):
        monkeypatch.setattr(fit, "save_epoch", interrupt_at(part))
        with pytest.raises(KeyboardInterrupt):
            train_text(config, resume=resume)
        (resume,) = tmp_path.glob("classify-text/*/*")
        is_trained = (resume / "language_model.keras").exists()
        assert is_trained == (part != "language_model")
    monkeypatch.setattr(fit, "save_epoch", save_epoch)
    monkeypatch.setattr(language_model, "build_next_word_trainer", None)
    trained = train_text(config, resume=resume)  # The language model is not retrained.
    expected = _load(pretrained)
    for name, weights in _weights(trained.model).items():
        for weight, other in zip(weights, expected[name], strict=True):
            np.testing.assert_array_equal(weight, other)


def test_folder_without_a_language_model_is_refused(table, tmp_path):
    flags = ("--model", "lstm", "--pretrained", str(tmp_path))
    message = "`pretrained` must be the folder of a run with .* without language_model"
    with pytest.raises(ValueError, match=message):
        _train(tmp_path, table, *flags)
    assert not list(tmp_path.iterdir())


def test_other_sizes_than_those_of_the_language_model_are_refused(
    pretrained, table, tmp_path
):
    flags = ("--model", "lstm", "--pretrained", str(pretrained))
    with pytest.raises(ValueError, match=r"`embedding_dim` must be .* 8.*=16"):
        _train(tmp_path, table, *flags, "--embedding-dim", "16")


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
        make_config(Config, fields)
