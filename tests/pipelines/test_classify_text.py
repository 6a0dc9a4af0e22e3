"""Whole runs of the text pipeline, in this process."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from modelyard.pipelines import classify_text, cli
from modelyard.pipelines.configs import parse_config
from modelyard.serving.check.saved_model import check_saved_model
from modelyard.serving.predict.predictor import load_predictor
from modelyard.training.run_folder import RunError

_QUIET = Console(quiet=True)
_GOOD = ("great", "moving", "wonderful", "fresh")
_BAD = ("dull", "awful", "noisy", "stale")
_NEUTRAL = ("film", "plot", "actor", "scene", "music", "the", "a")
_SMALL = ("--embedding-dim", "8", "--units", "4")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def table(root):
    """Spec of 300 made-up reviews, whose class a few words tell."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(300):
        words = [*rng.choice(_NEUTRAL, rng.integers(3, 40))]
        words.insert(rng.integers(len(words)), rng.choice((_BAD, _GOOD)[i % 2]))
        rows.append({"review": " ".join(words), "verdict": ("bad", "good")[i % 2]})
    path = root / "reviews.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return f"csv:{path}?text=review&label=verdict"


def _config(root, table, *flags):
    roots = ("--runs-dir", root / "runs", "--saved-models-dir", root / "saved_models")
    arguments = ("--dataset", table, "--validation-share", "0.2", *roots, *flags)
    return parse_config(classify_text, [str(a) for a in arguments])[0]


def _run(root, table, *flags):
    return classify_text.run(_config(root, table, *flags), console=_QUIET)


def _read(folder, name):
    return json.loads((folder / name).read_text())


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def finished(root, table):
    """A run of the default model with its export."""
    return _run(root, table, "--export-name", "verdicts", "--epochs", "3")


@pytest.fixture(scope="module")
def export(finished, root):
    assert finished
    return root / "saved_models" / "verdicts"


def test_run_learns_and_leaves_all_files(finished):
    metrics = _read(finished, "metrics.json")
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["test"]["roc_auc"] > 0.95
    assert metrics["linear_baseline"]["accuracy"] > 0.9
    assert metrics["timing"]["epochs"] == 3
    for name in ("report.html", "MODEL_CARD.md", "vocabulary.json", "model.keras"):
        assert (finished / name).stat().st_size > 0, name


def test_vocabulary_is_of_training_texts_only(finished):
    words = set(_read(finished, "vocabulary.json")[2:])
    assert words <= {*_GOOD, *_BAD, *_NEUTRAL}
    assert {*_GOOD, *_BAD} <= words


def test_report_shows_lengths_mistakes_and_the_linear_model(finished):
    page = (finished / "report.html").read_text()
    for title in ("Beside a linear model", "Accuracy by length", "Most confident"):
        assert title in page


def test_metrics_are_those_of_the_saved_model(finished):
    assert classify_text.evaluate(finished) == _read(finished, "metrics.json")["test"]


def test_export_passes_the_check_and_takes_any_string(export):
    result = check_saved_model(export)
    assert result.ok, [rule for rule in result.rules if rule.ok is False]
    texts = ["a great film", "AN <br />AWFUL film!", "", b"\xff\xfe", "x" * 1_000_000]
    with load_predictor(export) as predictor:
        good, bad, *odd = predictor.predict(texts)
    assert (good.label, bad.label) == ("good", "bad")
    assert all(not answer.error for answer in odd)


def test_command_predicts_arguments_and_lines_of_a_file(export, tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_bytes(b"a dull plot\n\na fresh scene \xff\n")
    code = cli.main(["predict", str(export), "a great film", "--file", str(lines)])
    assert code == 0
    answers = capsys.readouterr().out.splitlines()
    assert [answer.split(": ")[1].split()[0] for answer in answers] == [
        *("good", "bad", "good")
    ]


def test_command_shows_the_beginning_of_a_long_text(export, capsys):
    assert cli.main(["predict", str(export), "great\n" * 1000, "a dull\nplot"]) == 0
    long, short = capsys.readouterr().out.splitlines()
    text, _, answer = long.partition(": ")
    assert text == ("great " * 16 + "...")
    assert answer.startswith("good")
    assert short.startswith("a dull plot: bad")


def test_command_needs_a_text(export, tmp_path, capsys):
    (tmp_path / "blank.txt").write_text("\n \n")
    for arguments in ((), ("--file", str(tmp_path / "blank.txt"))):
        assert cli.main(["predict", str(export), *arguments]) == 1
        assert "`inputs` must be at least one" in capsys.readouterr().err


def test_data_shows_sizes_lengths_and_excerpts(table, capsys):
    assert cli.main(["data", table]) == 0
    shown = capsys.readouterr().out
    assert "train 2" in shown
    assert "bad: " in shown
    assert cli.main(["data", table, "--output", "sheet.png"]) == 1
    assert "`output` is for contact sheets" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("model", [m for m in classify_text.MODELS if m != "ngram"])
def test_every_model_runs_and_is_exported(model, root, table):
    one_layer = ("--embedding-dim", "8", "--num-layers", "1")
    ngrams = ("--ngrams", "2", "--buckets", "64")
    options = {
        "text_cnn": _SMALL[:2],
        "transformer": (*one_layer, *ngrams),
        "fnet": one_layer,
        "gru": (*_SMALL, *ngrams),
    }
    folder = _run(
        root,
        table,
        *("--model", model, "--epochs", "1", *options.get(model, _SMALL)),
        *("--max-train-examples", "64", "--no-baseline"),
    )
    result = check_saved_model(_read(folder, "export.json")["path"])
    assert result.ok, [rule for rule in result.rules if rule.ok is False]


def test_same_seed_gives_the_same_weights(table, tmp_path):
    flags = ("--no-export", "--no-baseline", "--model", "text_cnn", *_SMALL[:2])
    first = _weights(_run(tmp_path, table, *flags))
    second = _weights(_run(tmp_path, table, *flags))
    np.testing.assert_array_equal(first, second)
    other = _weights(_run(tmp_path, table, *flags, "--seed", "1"))
    assert other.shape != first.shape or not np.allclose(other, first)


def test_word_vectors_learn_at_their_own_rate(table, tmp_path):
    flags = ("--no-export", "--no-baseline", "--model", "text_cnn", *_SMALL[:2])
    sgd = ("--optimizer", "sgd", "--weight-decay", "0", "--learning-rate", "0.1")
    scale = ("--embedding-rate-scale", "1e-9")
    first, second = (
        keras.models.load_model(
            _run(tmp_path, table, *flags, *sgd, *scale, "--epochs", n) / "model.keras"
        )
        for n in ("1", "2")
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
        classify_text.Config(**fields)


def test_other_backends_are_refused_before_anything_is_written(
    table, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RunError, match=r"backend tensorflow.*KERAS_BACKEND=jax"):
        _run(tmp_path, table)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset", "digits"), "classify-images"),
        (("--model", "text_cnn", "--units", "4"), "`units` is not an option"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    flags, message, table, tmp_path
):
    with pytest.raises(ValueError, match=message):
        _run(tmp_path, table, *flags)
    assert not list(tmp_path.iterdir())
