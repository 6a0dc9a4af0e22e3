"""What every pipeline must do, tried on each entry of the list."""

import csv
import json
from dataclasses import fields, is_dataclass

import keras
import numpy as np
import pytest

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.images.loading import load_images
from modelyard.data.settings import flatten_settings
from modelyard.pipelines import PIPELINES, cli, find_pipeline
from modelyard.pipelines.common.command import parse_config
from modelyard.pipelines.common.publishing import DOCUMENTS
from modelyard.serving.description import read_description
from modelyard.training import fit

from .conftest import SAMPLES, run_in

NAMES = [pipeline.name for pipeline in PIPELINES]
# One pipeline is tried among the quick tests.
each_pipeline = pytest.mark.parametrize(
    "name",
    [
        name
        if name == "classify-images"
        else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
    ],
)


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def _inputs(name, root):
    """Two inputs for `modelyard predict`."""
    if name == "classify-text":
        return ["a great film", "a dull plot"]
    pictures = load_images("digits").test.images[:2]
    paths = [root / f"{i}.png" for i in range(2)]
    for path, pixels in zip(paths, pictures, strict=True):
        keras.utils.save_img(path, pixels, scale=False)
    return [str(path) for path in paths]


def test_every_pipeline_has_a_sample_run():
    assert set(SAMPLES) == set(NAMES)


@each_pipeline
def test_run_leaves_all_files_and_no_partial_ones(name, sample):
    run = sample(name)
    for file in (*DOCUMENTS, "history.csv", "model.keras", "report.html"):
        assert (run.folder / file).stat().st_size > 0, file
    config = run.read("config.json")
    assert run.folder.parents[1] == run.root / "runs" / name
    assert run.folder.parent.name.endswith(f"-{config['model']}")
    assert list(run.folder.glob("tensorboard/**/events.out.*"))
    assert not list(run.root.glob("**/.*partial*"))


@each_pipeline
def test_config_of_a_run_starts_the_same_run_again(name, sample):
    run = sample(name)
    first, _ = parse_config(find_pipeline(name), run.arguments)
    arguments = ["--config", str(run.folder / "config.json")]
    again, _ = parse_config(find_pipeline(name), arguments)
    assert again == first
    assert run.read("config.json") == {"pipeline": name} | json.loads(
        json.dumps(flatten_settings(first))
    )


@each_pipeline
def test_history_has_a_row_per_epoch(name, sample):
    run = sample(name)
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    epochs = run.read("metrics.json")["timing"]["epochs"]
    assert [int(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
    assert {"loss", "val_loss", "learning_rate", "seconds"} <= set(rows[0])


@each_pipeline
def test_metrics_are_of_both_splits_and_can_be_compared(name, sample):
    metrics = sample(name).read("metrics.json")
    assert metrics["timing"]["train_seconds"] > 0
    assert 0 <= metrics["timing"]["input_wait_share"] < 1
    for split in ("test", "validation"):
        compared = find_pipeline(name).load_settings().COMPARED
        assert all(np.isfinite(metrics[split][metric]) for metric in compared)


@each_pipeline
def test_evaluating_again_gives_the_recorded_metrics(name, sample):
    run = sample(name)
    measured = find_pipeline(name).load().evaluate(run.folder)
    recorded = run.read("metrics.json")["test"]
    assert measured.keys() == recorded.keys()
    for metric, value in measured.items():
        np.testing.assert_allclose(value, recorded[metric], rtol=1e-4, err_msg=metric)


@each_pipeline
def test_report_shows_settings_data_and_the_way_to_use_the_export(name, sample):
    run = sample(name)
    page = (run.folder / "report.html").read_text()
    for words in ("Configuration", "Environment", "Timings", "Training", "Data"):
        assert f"<h2>{words}</h2>" in page
    assert f"modelyard predict {run.export}" in page
    assert "tensorflow_model_server" in page
    assert "learning_rate" in page


@each_pipeline
def test_export_carries_the_run_and_says_what_it_is(name, sample):
    run = sample(name)
    assert run.export.name == "1"
    assert [path.name for path in run.export.parent.iterdir()] == ["1"]
    extra = run.export / "assets.extra"
    for file in DOCUMENTS:
        assert (extra / file).read_bytes() == (run.folder / file).read_bytes()
    for file in ("golden.npz", "tf_serving_warmup_requests"):
        assert (extra / file).stat().st_size > 0
    description = read_description(run.export)
    assert description.task == name
    card = (extra / "MODEL_CARD.md").read_text()
    assert "`serving_default`" in card
    assert "## Limits" in card


@each_pipeline
def test_predict_shows_a_line_per_input_and_json(name, sample, capsys, tmp_path):
    run, inputs = sample(name), _inputs(name, tmp_path)
    flags = []
    if read_description(run.export).kind == "image":
        flags = ["--output", str(tmp_path / "results")]
    assert cli.main(["predict", str(run.export), *inputs, *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == inputs
    assert cli.main(["predict", str(run.export), *inputs, *flags, "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["input"] for answer in answers] == inputs
    assert not any(answer["error"] for answer in answers)


@each_pipeline
def test_help_shows_every_setting_in_one_line_with_the_recipes_default(name, capsys):
    with pytest.raises(SystemExit) as end:
        parse_config(find_pipeline(name), ["--recipe", "smoke", "--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    config, _ = parse_config(find_pipeline(name), ["--recipe", "smoke"])
    for setting, value in flatten_settings(config).items():
        flag = setting.replace("_", "-")
        flag = f"  --no-{flag} " if value is True else f"  --{flag} "
        (line,) = [line for line in lines if line.startswith(flag)]
        assert len(line) < 150
    (epochs,) = [line for line in lines if line.startswith("  --epochs ")]
    assert epochs.endswith(f"[{config.epochs}]")
    common = lines[lines.index("Common options") + 1 :]
    own = [f.name for f in fields(config) if not is_dataclass(getattr(config, f.name))]
    assert common.index("") == len(own) + 2  # With --config and --resume.


@each_pipeline
def test_interrupted_run_is_resumed_to_the_same_weights(
    name, sample, tmp_path, monkeypatch, capsys
):
    run = sample(name)
    arguments = [*run.arguments, "--runs-dir", str(tmp_path), "--no-export"]
    if name == "transfer-images":  # Makes no difference to the weights.
        arguments += ["--learning-curve"]
    save_epoch = fit.save_epoch

    def interrupt(*values):
        save_epoch(*values)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_epoch", interrupt)
        assert cli.main(["run", name, *arguments]) == 130
    (folder,) = tmp_path.glob("*/*/*")
    output = capsys.readouterr()
    assert f"Resume with: modelyard run {name} --resume {folder}\n" in output.out
    assert not (folder / "model.keras").exists()
    assert cli.main(["run", name, "--resume", str(folder)]) == 0
    assert "Resuming after epoch 1" in capsys.readouterr().out
    np.testing.assert_array_equal(_weights(folder), _weights(run.folder))
    assert cli.main(["compare", str(run.folder), str(folder)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["export", "True", "False"] in rows
    assert any(row[:1] == ["Test:"] for row in rows)


@each_pipeline
def test_resuming_a_finished_run_publishes_no_second_version(name, sample):
    run = sample(name)
    page = (run.folder / "report.html").read_text()
    assert run_in(run.root, name, *run.arguments, resume=run.folder) == run.folder
    assert [path.name for path in run.export.parent.iterdir()] == ["1"]
    assert str(run.export) in page


@each_pipeline
def test_unknown_model_is_refused_before_anything_is_written(name, tmp_path, capsys):
    first = find_pipeline(name).load_settings().MODELS[0]
    arguments = ["--model", f"{first}x", "--runs-dir", str(tmp_path / "runs")]
    assert cli.main(["run", name, *arguments]) == 1
    assert f"Did you mean {first}?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
