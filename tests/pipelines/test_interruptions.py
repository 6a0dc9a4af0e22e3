"""Runs that are interrupted, killed, diverge or meet a full disk."""

import contextlib
import functools
import io
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
from rich.console import Console

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.pipelines import cli

from .conftest import DIGITS, arguments_in, run_in

pytestmark = pytest.mark.slow

_EPOCHS = 40
_FLAGS = (
    *(*DIGITS, "--max-train-examples", "256"),
    *("--model", "mlp", "--dropout", "0.2", "--epochs", str(_EPOCHS)),
)
_SECONDS = 120  # A loaded machine needs a while to import TensorFlow.


def _start(*arguments):
    """A process of the command line; standard output and errors together."""
    return subprocess.Popen(
        [sys.executable, "-m", "modelyard.pipelines.cli", "run", "classify-images"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def _running(*arguments):
    """A process that does not outlive the test."""
    process = _start(*arguments)
    watchdog = threading.Timer(_SECONDS, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def _read_until(process, text):
    """Output up to the first line with `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"ended without {text!r}:\n{''.join(lines)}")


def _read_rest(process):
    """Output up to the end of the process."""
    output = process.stdout.read()
    process.wait()
    return output


def _only_run(root):
    (folder,) = root.glob("runs/*/*/*")
    return folder


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


class _Listening(Console):
    """A console that calls a function at the first line that holds a text."""

    def __init__(self, text, function):
        super().__init__(file=io.StringIO(), width=200)
        self._text, self._function = text, function

    def print(self, *values, **options):
        if self._function and self._text in str(values[0]):
            function, self._function = self._function, None
            function()
        super().print(*values, **options)


def _main(monkeypatch, *arguments, at="", do=None):
    """Exit code and output of the command line in this process, disturbed at a line."""
    console = _Listening(at, do)
    monkeypatch.setattr(cli, "OUT", console)
    code = cli.main(["run", "classify-images", *map(str, arguments)])
    return code, console.file.getvalue()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a run that was left alone."""
    root = tmp_path_factory.mktemp("uninterrupted")
    return _weights(run_in(root, "classify-images", *_FLAGS, "--no-export"))


def test_interrupted_process_tells_how_to_resume_it(tmp_path):
    with _running(*arguments_in(tmp_path, *_FLAGS, "--no-export")) as process:
        _read_until(process, "epoch 3/")
        process.send_signal(signal.SIGINT)
        output = _read_rest(process)
    folder = _only_run(tmp_path)
    assert process.returncode == 130, output
    assert f"modelyard run classify-images --resume {folder}\n" in output
    assert "Traceback" not in output
    assert "oneDNN" not in output  # TensorFlow's chatter on import.
    assert not (folder / "model.keras").exists()


def test_killed_run_is_resumed_and_never_shows_half_an_export(
    tmp_path, uninterrupted, monkeypatch
):
    with _running(*arguments_in(tmp_path, *_FLAGS)) as process:
        _read_until(process, "epoch 3/")
        process.kill()
        process.wait()
    folder = _only_run(tmp_path)
    assert not list((tmp_path / "saved_models").iterdir())

    base = tmp_path / "saved_models" / "digits-mlp"
    with _running("--resume", folder) as process:
        _read_until(process, f"epoch {_EPOCHS}/")
        while process.poll() is None and not list(base.glob(".partial-*/variables")):
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL  # Not finished before.
    assert all(path.name.startswith(".partial-") for path in base.iterdir())

    assert _main(monkeypatch, "--resume", folder)[0] == 0
    assert (base / "1" / "saved_model.pb").exists()
    assert [p.name for p in base.iterdir() if not p.name.startswith(".")] == ["1"]
    np.testing.assert_array_equal(_weights(folder), uninterrupted)


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of so many megabytes."""
    mounted = []

    def mount(megabytes):
        disk = tmp_path / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk]
        try:
            answer = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if answer.returncode:
            pytest.skip(f"may not mount: {answer.stderr.decode().strip()}")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_disk_without_room_is_found_before_training(tmp_path, small_disk, capsys):
    disk = small_disk(4)
    for runs, saved_models in ((disk, tmp_path / "free"), (tmp_path / "free", disk)):
        arguments = ["run", "classify-images", *_FLAGS, "--runs-dir", str(runs)]
        assert cli.main([*arguments, "--saved-models-dir", str(saved_models)]) == 1
        output = capsys.readouterr()
        assert f"{disk} needs 39 MB" in output.err
        assert "has 4 MB" in output.err
        assert "--runs-dir" in output.err
        assert "epoch" not in output.out
    assert not list(tmp_path.glob("**/config.json"))


def _fill(disk):
    """Takes all the room that is left."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_disk_that_fills_up_leaves_a_run_to_resume(
    tmp_path, small_disk, uninterrupted, monkeypatch, capsys
):
    disk = small_disk(64)
    outputs = ("--runs-dir", disk / "runs", "--saved-models-dir", tmp_path / "exports")
    arguments = (*_FLAGS, *outputs, "--no-export")
    fill = functools.partial(_fill, disk)
    code, output = _main(monkeypatch, *arguments, at="epoch 3/", do=fill)
    folder = _only_run(disk)
    assert code == 1
    assert f"--resume {folder}\n" in output
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert "Traceback" not in error

    (disk / "filler").unlink()
    code, output = _main(monkeypatch, "--resume", folder)
    assert code == 0
    assert "Resuming after epoch" in output
    np.testing.assert_array_equal(_weights(folder), uninterrupted)


@pytest.mark.parametrize("flag", ["--runs-dir", "--saved-models-dir"])
def test_place_that_cannot_be_written_is_found_before_training(tmp_path, flag, capsys):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    arguments = [
        *("run", "classify-images"),
        *arguments_in(tmp_path, *_FLAGS),
        *(flag, str(below)),
    ]
    assert cli.main(arguments) == 1
    output = capsys.readouterr()
    assert f"Cannot write {below}: Not a directory" in output.err
    assert "epoch" not in output.out


def test_diverging_run_stops_with_step_and_rate_and_exports_nothing(tmp_path, capsys):
    arguments = ["run", "classify-images", *arguments_in(tmp_path, *_FLAGS)]
    assert cli.main([*arguments, "--optimizer", "sgd", "--learning-rate", "1e30"]) == 1
    error = capsys.readouterr().err
    assert "at step " in error
    assert "learning rate of " in error
    assert "Nothing was exported" in error
    assert not list((tmp_path / "saved_models").iterdir())
    assert not (_only_run(tmp_path) / "model.keras").exists()
