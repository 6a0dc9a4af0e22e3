"""The command line, as users and scripts see it."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from modelyard.pipelines import cli

from .conftest import DIGITS, arguments_in

_CLI = (sys.executable, "-m", "modelyard.pipelines.cli")
# Reports what a command imported and the processor time it took, on the last line.
_MEASURED = """
import resource, sys
from modelyard.pipelines.cli import main
try:
    code = main()
except SystemExit as exit:
    code = exit.code
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = [m for m in ("tensorflow", "keras", "matplotlib") if m in sys.modules]
print(code, used.ru_utime + used.ru_stime, *heavy)
"""


def _call(*command, **options):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def _main(*arguments):
    """Exit code of the command line, called in this process."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A run that a process of the command line has made."""
    root = tmp_path_factory.mktemp("cli")
    flags = (*DIGITS, "--max-train-examples", "256", "--model", "perceptron")
    answer = _call(*_CLI, "run", "classify-images", *arguments_in(root, *flags))
    assert answer.returncode == 0, answer.stderr
    (folder,) = root.glob("runs/*/*/*")
    return root, folder, answer


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A dark and a light picture, and a file that is none."""
    root = tmp_path_factory.mktemp("pictures")
    for i, level in enumerate((0, 255)):
        PIL.Image.fromarray(np.full((8, 8), level, "uint8")).save(root / f"{i}.png")
    (root / "broken.png").write_bytes(b"not a picture")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "classify-images", "--help"], ["run", "--help"]]
)
def test_help_is_quick_and_imports_nothing_heavy(arguments):
    seconds = []
    for _ in range(3):
        answer = _call(sys.executable, "-c", _MEASURED, *arguments)
        code, used, *heavy = answer.stdout.splitlines()[-1].split()
        assert (code, heavy) == ("0", []), answer.stderr
        seconds.append(float(used))
        if seconds[-1] < 0.5:
            break
    assert min(seconds) < 0.5


def test_help_names_every_command(capsys):
    assert _main("--help") == 0
    output = capsys.readouterr().out
    for command in (
        "run",
        "list",
        "data",
        "evaluate",
        "export",
        "check",
        "predict",
        "compare",
    ):
        assert f"\n  {command} " in output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["run", "--help"], 0),
        ([], 2),
        (["run"], 2),
        (["run", "classify-images", "--epochs", "many"], 2),
        (["run", "classify-images", "--epoch", "3"], 2),
        (["evaluate"], 2),
        (["trian"], 1),
    ],
)
def test_exit_code_tells_success_error_and_usage(arguments, code):
    assert _main(*arguments) == code


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["chekc"], "check"),
        (["run", "clasify-images"], "classify-images"),
        (["run", "classify-images", "--dataset", "digit"], "digits"),
        (["run", "classify-images", "--recipe", "smok"], "smoke"),
        (["run", "classify-images", "--model", "lenett"], "lenet"),
        (["data", "mnits"], "mnist"),
    ],
)
def test_unknown_name_is_answered_with_the_nearest(
    arguments, nearest, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert _main(*arguments) in (1, 2)
    output = capsys.readouterr()
    assert re.search(rf"Did you mean '?{nearest}\b", " ".join(output.err.split()))
    assert not output.out
    assert not list(tmp_path.iterdir())


def test_list_names_pipelines_data_sets_models_and_recipes(capsys):
    assert _main("list") == 0
    output = capsys.readouterr().out
    for name in ("classify-images", "cifar10", "digits", "residual_cnn", "smoke"):
        assert name in output


def test_data_draws_a_contact_sheet(capsys, tmp_path):
    assert _main("data", "digits", "--output", tmp_path / "sheet.png") == 0
    with PIL.Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 100
    assert "sheet.png" in capsys.readouterr().out


@pytest.mark.slow
def test_run_ends_with_figures_paths_and_the_next_command(started):
    root, folder, answer = started
    export = root / "saved_models" / "digits-perceptron" / "1"
    assert f"Run: {folder}\n" in answer.stdout
    assert "Test accuracy " in answer.stdout
    assert f"Report: {folder / 'report.html'}\n" in answer.stdout
    assert f"Predict: modelyard predict {export} IMAGE" in answer.stdout
    assert not answer.stderr
    assert "\x1b" not in answer.stdout  # Colours belong in terminals only.


def test_predict_shows_the_class_and_its_score(sample, pictures, capsys):
    paths = [pictures / "0.png", pictures / "1.png"]
    assert _main("predict", sample("classify-images").export, *paths) == 0
    lines = capsys.readouterr().out.splitlines()
    for line, path in zip(lines, paths, strict=True):
        name, answer = line.split(": ")
        label, score, *_ = answer.split()
        assert name == str(path)
        assert label in "0123456789"
        assert 0.1 <= float(score) <= 1


@pytest.mark.slow
def test_predict_gives_json_alone_and_answers_beside_a_broken_file(sample, pictures):
    export = sample("classify-images").export
    paths = [pictures / name for name in ("0.png", "broken.png", "1.png")]
    answer = _call(*_CLI, "predict", export, *paths, "--json")
    assert answer.returncode == 1
    first, broken, last = json.loads(answer.stdout)
    assert first["label"]
    assert len(last["top"]) == 5
    assert broken["label"] is None
    assert "broken.png" in broken["error"]
    assert f"Error: {pictures / 'broken.png'}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_output_and_file_are_refused_where_they_mean_nothing(sample, pictures, capsys):
    export = sample("classify-images").export
    picture = pictures / "0.png"
    assert _main("predict", export, picture, "--output", "x.png") == 1
    assert "`--output` is for exports that answer with images" in (
        capsys.readouterr().err
    )
    assert _main("predict", export, picture, "--file", picture) == 1
    assert "`--file` is for exports that take texts" in capsys.readouterr().err


def test_predict_refuses_an_export_that_does_not_say_what_it_answers(
    sample, pictures, tmp_path, capsys
):
    version = tmp_path / "model" / "1"
    shutil.copytree(sample("classify-images").export, version)
    (version / "assets.extra" / "export.json").unlink()
    assert _main("predict", version, pictures / "0.png") == 1
    assert "--kind classes" in capsys.readouterr().err
    assert _main("predict", version, pictures / "0.png", "--kind", "classes") == 0


@pytest.mark.slow
def test_good_export_passes_the_check(sample, capsys):
    assert _main("check", sample("classify-images").export) == 0
    assert "ready to serve" in capsys.readouterr().out


def test_broken_export_fails_the_check(sample, tmp_path, capsys):
    graph = sample("classify-images").export / "saved_model.pb"
    (tmp_path / "saved_model.pb").write_bytes(graph.read_bytes()[:500])
    assert _main("check", tmp_path, "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["ok"]
    assert result["rules"][0]["fix"]
    assert _main("check", tmp_path) == 1
    assert "fix: " in capsys.readouterr().out


def test_evaluate_shows_the_recorded_metrics_beside_those_of_now(sample, capsys):
    run = sample("classify-images")
    assert _main("evaluate", run.folder) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    accuracy = f"{run.read('metrics.json')['test']['accuracy']:.4f}"
    assert ["accuracy", accuracy, accuracy] in rows


@pytest.mark.slow
def test_compare_shows_what_differs_across_pipelines(sample, capsys):
    runs = [sample(name).folder for name in ("classify-images", "encode-images")]
    assert _main("compare", *runs) == 0
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    assert ["model", "convnet", "autoencoder"] in rows
    assert ["epochs", "2", "4"] in rows
    (accuracy,) = [row for row in rows if row[:2] == ["Test:", "accuracy"]]
    assert accuracy[-1] == "-"
    (psnr,) = [row for row in rows if row[:2] == ["Test:", "psnr"]]
    assert psnr[2] == "-"
    assert psnr[-1] == "dB"
    assert "seed" not in output  # It is the same.


def test_compare_needs_two_runs(tmp_path, capsys):
    assert _main("compare", tmp_path) == 1
    assert "at least two folders" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_folder_that_is_no_run_is_an_error_without_traceback(command, tmp_path, capsys):
    assert _main(command, tmp_path) == 1
    output = capsys.readouterr()
    assert "must be the folder of a run" in output.err
    assert str(tmp_path) in output.err
    assert "Traceback" not in output.err
    assert not output.out


def test_traceback_is_there_for_those_who_ask(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "MODELYARD_TRACEBACK", "1")
    with pytest.raises(ValueError, match="folder of a run"):
        _main("evaluate", tmp_path)


def test_reader_that_has_seen_enough_gets_no_traceback():
    answer = _call("bash", "-c", f"{' '.join(_CLI)} list | head -1")
    assert len(answer.stdout.splitlines()) == 1
    assert not answer.stderr
