"""The command line, as users and scripts see it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import modelyard.pipelines.classify_images as pipeline_file
from modelyard.data.names import require_known
from modelyard.pipelines import cli

_SMOKE = ("--dataset", "digits", "--recipe", "smoke", "--max-train-examples", "256")
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


def _roots(root):
    return ("--runs-dir", root / "runs", "--saved-models-dir", root / "saved_models")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder with a finished run that was exported, as the command left it."""
    root = tmp_path_factory.mktemp("cli")
    arguments = ("--model", "perceptron", *_SMOKE, *_roots(root))
    answer = _call(*_CLI, "run", "classify-images", *arguments)
    assert answer.returncode == 0, answer.stderr
    (root / "output.txt").write_text(answer.stdout)
    (root / "errors.txt").write_text(answer.stderr)
    for i, level in enumerate((0, 255)):
        PIL.Image.fromarray(np.full((8, 8), level, "uint8")).save(root / f"{i}.png")
    (root / "broken.png").write_bytes(b"not a picture")
    return root


@pytest.fixture(scope="module")
def run(root):
    (folder,) = root.glob("runs/*/*/*")
    return folder


@pytest.fixture(scope="module")
def export(root):
    return root / "saved_models" / "digits-perceptron"


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


@pytest.mark.slow
def test_script_is_the_same_as_the_command():
    script = Path(pipeline_file.__file__)
    as_script = _call(sys.executable, script, "--help")
    as_command = _call(*_CLI, "run", "classify-images", "--help")
    assert as_script.returncode == as_command.returncode == 0, as_script.stderr
    assert as_script.stdout == as_command.stdout
    assert "--max-train-examples" in as_command.stdout


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


def test_name_without_a_near_one_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"Received: model='xyz'\.$"):
        require_known("model", "xyz", ["lenet"])


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
def test_run_ends_with_figures_paths_and_the_next_command(root, run, export):
    output = (root / "output.txt").read_text()
    assert f"Run: {run}\n" in output
    assert "Test accuracy " in output
    assert f"Report: {run / 'report.html'}\n" in output
    assert f"Predict: modelyard predict {export / '1'} IMAGE" in output
    assert not (root / "errors.txt").read_text()
    assert "\x1b" not in output  # Colours belong in terminals only.


@pytest.mark.slow
def test_predict_prints_a_line_a_picture(root, export, capsys):
    pictures = [root / "0.png", root / "1.png"]
    assert _main("predict", export, *pictures) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, picture in zip(lines, pictures, strict=True):
        name, answer = line.split(": ")
        label, score, *_ = answer.split()
        assert name == str(picture)
        assert label in "0123456789"
        assert 0.1 <= float(score) <= 1


@pytest.mark.slow
def test_predict_gives_json_alone_and_answers_beside_a_broken_file(root, export):
    pictures = (root / "0.png", root / "broken.png", root / "1.png")
    answer = _call(*_CLI, "predict", export, *pictures, "--json")
    assert answer.returncode == 1
    first, broken, last = json.loads(answer.stdout)
    assert first["label"]
    assert len(last["top"]) == 5
    assert broken["label"] is None
    assert "broken.png" in broken["error"]
    assert f"Error: {root / 'broken.png'}" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_good_export_passes_the_check(export, capsys):
    assert _main("check", export) == 0
    assert "ready to serve" in capsys.readouterr().out


@pytest.mark.slow
def test_broken_export_fails_the_check(export, tmp_path, capsys):
    (tmp_path / "saved_model.pb").write_bytes(
        (export / "1" / "saved_model.pb").read_bytes()[:500]
    )
    assert _main("check", tmp_path, "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["ok"]


@pytest.mark.slow
def test_evaluate_shows_the_recorded_metrics_beside_those_of_now(run, capsys):
    assert _main("evaluate", run) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    recorded = json.loads((run / "metrics.json").read_text())["test"]
    accuracy = f"{recorded['accuracy']:.4f}"
    assert ["accuracy", accuracy, accuracy] in rows


@pytest.mark.slow
def test_compare_shows_what_differs(run, tmp_path, capsys):
    flags = (*_SMOKE, *_roots(tmp_path), "--no-export", "--seed", "8")
    assert _main("run", "classify-images", "--model", "mlp", *flags) == 0
    (other,) = tmp_path.glob("runs/*/*/*")
    capsys.readouterr()
    assert _main("compare", run, other) == 0
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    assert ["model", "perceptron", "mlp"] in rows
    assert ["seed", "0", "8"] in rows
    assert "test accuracy" in output
    assert "batch_size" not in output  # It is the same.


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
