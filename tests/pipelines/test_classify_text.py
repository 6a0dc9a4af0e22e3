"""Runs of `classify-text`; what all pipelines do is in test_contract."""

import json

import keras
import numpy as np
import pytest

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.settings import make_config
from modelyard.pipelines import cli, find_pipeline
from modelyard.pipelines.classify_text import steps
from modelyard.pipelines.classify_text.config import MODELS, Config
from modelyard.pipelines.common.command import parse_config
from modelyard.serving.predict.predictor import load_predictor
from modelyard.training.run_folder import RunError

from .conftest import BAD, GOOD, NEUTRAL, arguments_in, run_in, train_text

pytestmark = pytest.mark.slow

_SMALL = ("--embedding-dim", "8", "--units", "4")
_TEXT_CNN = ("--model", "text_cnn", "--embedding-dim", "8")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("classify-text")


def _train(root, table, *flags):
    arguments = arguments_in(root, "--dataset", table, *flags)
    config, _ = parse_config(find_pipeline("classify-text"), arguments)
    return train_text(config)


def _weights(trained):
    return np.concatenate([weight.ravel() for weight in trained.model.get_weights()])


def test_run_learns_and_is_measured_beside_a_linear_baseline(sample):
    metrics = sample("classify-text").read("metrics.json")
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["test"]["roc_auc"] > 0.95
    assert metrics["linear_baseline"]["accuracy"] > 0.9
    assert metrics["timing"]["epochs"] == 3


def test_vocabulary_is_of_training_texts_only(sample):
    words = set(sample("classify-text").read("vocabulary.json")[2:])
    assert words <= {*GOOD, *BAD, *NEUTRAL}
    assert {*GOOD, *BAD} <= words


def test_report_shows_lengths_mistakes_and_the_baseline(sample):
    page = (sample("classify-text").folder / "report.html").read_text()
    for title in ("Linear baseline", "Accuracy by length", "Most confident mistakes"):
        assert f"<h2>{title}</h2>" in page


def test_export_takes_any_string(sample):
    texts = ["a great film", "AN <br />AWFUL film!", "", b"\xff\xfe", "x" * 1_000_000]
    with load_predictor(sample("classify-text").export) as predictor:
        good, bad, *odd = predictor.predict(texts)
    assert (good.label, bad.label) == ("good", "bad")
    assert all(not answer.error for answer in odd)


def test_command_predicts_arguments_and_lines_of_a_file(sample, tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_bytes(b"a dull plot\n\na fresh scene \xff\n")
    export = str(sample("classify-text").export)
    assert cli.main(["predict", export, "a great film", "--file", str(lines)]) == 0
    answers = capsys.readouterr().out.splitlines()
    assert [answer.split(": ")[1].split()[0] for answer in answers] == [
        *("good", "bad", "good")
    ]


def test_command_shows_the_beginning_of_a_long_text(sample, capsys):
    export = str(sample("classify-text").export)
    assert cli.main(["predict", export, "great\n" * 1000, "a dull\nplot"]) == 0
    long, short = capsys.readouterr().out.splitlines()
    text, _, answer = long.partition(": ")
    assert text == ("great " * 16 + "...")
    assert answer.startswith("good")
    assert short.startswith("a dull plot: bad")


def test_command_needs_a_text(sample, tmp_path, capsys):
    (tmp_path / "blank.txt").write_text("\n \n")
    export = str(sample("classify-text").export)
    for arguments in ((), ("--file", str(tmp_path / "blank.txt"))):
        assert cli.main(["predict", export, *arguments]) == 1
        assert "`inputs` must be at least one" in capsys.readouterr().err


def test_data_shows_sizes_lengths_and_excerpts(reviews_table, capsys):
    assert cli.main(["data", reviews_table]) == 0
    shown = capsys.readouterr().out
    assert "train 2" in shown
    assert "bad: " in shown
    assert cli.main(["data", reviews_table, "--output", "sheet.png"]) == 1
    assert "`output` is for contact sheets" in capsys.readouterr().err


# A recurrent network has everything that an export may have; the others come in full.
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[pytest.mark.full] if model != "lstm" else [])
        for model in MODELS
        if model != "ngram"
    ],
)
def test_every_model_runs_and_is_exported(model, root, reviews_table):
    one_layer = ("--embedding-dim", "8", "--num-layers", "1")
    ngrams = ("--ngrams", "2", "--buckets", "64")
    options = {
        "text_cnn": _SMALL[:2],
        "transformer": (*one_layer, *ngrams),
        "fnet": one_layer,
        "gru": (*_SMALL, *ngrams),
    }
    folder = run_in(
        root,
        "classify-text",
        *("--dataset", reviews_table, "--validation-share", "0.2"),
        *("--model", model, "--epochs", "1", *options.get(model, _SMALL)),
        *("--max-train-examples", "64", "--no-baseline"),
    )
    # The gate has checked it.
    assert json.loads((folder / "export.json").read_text())["path"].endswith("/1")


@pytest.mark.parametrize("model", [m for m in MODELS if m != "ngram"])
def test_every_model_has_a_builder_that_takes_its_options(model):
    config = make_config(Config, {"model": model, "dropout": 0.1, "embedding_dim": 8})
    assert steps.model_options(config.model, config.network, config.pretraining) == {
        "dropout": 0.1,
        "embedding_dim": 8,
    }


def test_seed_decides_the_weights(reviews_table, tmp_path):
    first, second = (
        _weights(_train(tmp_path, reviews_table, *_TEXT_CNN, "--epochs", "1"))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    flags = (*_TEXT_CNN, "--epochs", "1", "--seed", "1")
    other = _weights(_train(tmp_path, reviews_table, *flags))
    assert other.shape != first.shape or not np.allclose(other, first)


def test_word_vectors_learn_at_their_own_rate(reviews_table, tmp_path):
    sgd = ("--optimizer", "sgd", "--weight-decay", "0", "--learning-rate", "0.1")
    flags = (*_TEXT_CNN, *sgd, "--embedding-rate-scale", "1e-9")
    first, second = (
        _train(tmp_path, reviews_table, *flags, "--epochs", epochs).model
        for epochs in ("1", "2")
    )

    def changed(name):
        before, after = (m.get_layer(name).get_weights()[0] for m in (first, second))
        return not np.allclose(before, after, rtol=0, atol=1e-6)

    assert changed("logits")
    assert not changed("embedding")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_length": 0}, r"`max_length` must be at least 1.*max_length=0"),
        ({"batch_words": 10}, r"`batch_words` must be at least max_length \(400\)"),
        ({"model": "lsmt"}, "Did you mean lstm"),
        ({"model": "lstm", "naive_bayes": True}, "unless the model is ngram"),
        ({"naive_bayes": True, "embedding_dim": 8}, "without embedding_dim"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"embedding_rate_scale": 0.0}, "`embedding_rate_scale` must be above 0"),
        (
            {"embedding_rate_scale": 9.0},
            "`embedding_rate_scale` must be 1 unless .*embedding_rate_scale=9.0",
        ),
        (
            {"model": "lstm", "optimizer": "adam", "embedding_rate_scale": 9.0},
            "`embedding_rate_scale` must be 1 unless the optimizer is sgd or adamw",
        ),
    ],
)
def test_settings_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_config(Config, fields)


def test_other_backends_are_refused_before_anything_is_written(
    reviews_table, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RunError, match=r"backend tensorflow.*KERAS_BACKEND=jax"):
        run_in(tmp_path, "classify-text", "--dataset", reviews_table)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset", "digits"), "classify-images"),
        (("--model", "text_cnn", "--units", "4"), "`units` is not an option"),
    ],
)
def test_setting_that_does_not_fit_is_refused_before_writing(
    flags, message, reviews_table, tmp_path
):
    with pytest.raises(ValueError, match=message):
        run_in(tmp_path, "classify-text", "--dataset", reviews_table, *flags)
    assert not list(tmp_path.iterdir())
