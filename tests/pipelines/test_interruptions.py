"""Runs that are interrupted, killed, diverge or meet a full disk."""

import contextlib
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
from modelyard.pipelines import classify_images, cli
from modelyard.pipelines.configs import parse_config

_EPOCHS = 40
_FLAGS = (
    *("--dataset", "digits", "--recipe", "smoke", "--max-train-examples", "256"),
    *("--model", "mlp", "--dropout", "0.2", "--epochs", str(_EPOCHS)),
)
_SECONDS = 120  # A loaded machine needs a while to import TensorFlow.


def _roots(root):
    return (
        *("--runs-dir", str(root / "runs")),
        *("--saved-models-dir", str(root / "saved_models")),
    )


def _start(*arguments, pipeline="classify-images"):
    """A process of the command line; standard output and errors together."""
    return subprocess.Popen(
        [sys.executable, "-m", "modelyard.pipelines.cli", "run", pipeline]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def _running(*arguments, **options):
    """A process that does not outlive the test."""
    process = _start(*arguments, **options)
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


def _complete(*arguments, **options):
    """Exit code and output of a process that is left alone."""
    with _running(*arguments, **options) as process:
        output = _read_rest(process)
    return process.returncode, output


def _only_run(root):
    (folder,) = root.glob("runs/*/*/*")
    return folder


def _weights(folder):
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a run that was left alone."""
    root = tmp_path_factory.mktemp("uninterrupted")
    arguments = [*_FLAGS, *_roots(root), "--no-export"]
    config, _ = parse_config(classify_images, arguments)
    return _weights(classify_images.run(config, console=Console(quiet=True)))


@pytest.mark.slow
def test_interrupted_run_tells_how_to_go_on_and_ends_the_same(tmp_path, uninterrupted):
    with _running(*_FLAGS, *_roots(tmp_path), "--no-export") as process:
        _read_until(process, "epoch 3/")
        process.send_signal(signal.SIGINT)
        output = _read_rest(process)
    folder = _only_run(tmp_path)
    assert process.returncode == 130, output
    assert f"modelyard run classify-images --resume {folder}\n" in output
    assert "Traceback" not in output
    assert not (folder / "model.keras").exists()

    code, output = _complete("--resume", folder)
    assert code == 0, output
    assert "Resuming after epoch" in output
    np.testing.assert_array_equal(_weights(folder), uninterrupted)
    assert "oneDNN" not in output  # TensorFlow's chatter on import.


@pytest.mark.slow
def test_killed_run_goes_on_and_never_shows_half_an_export(tmp_path, uninterrupted):
    with _running(*_FLAGS, *_roots(tmp_path)) as process:
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

    code, output = _complete("--resume", folder)
    assert code == 0, output
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


@pytest.mark.slow
def test_text_run_killed_in_both_of_its_trainings_ends_the_same(tmp_path):
    """A language model, then the classifier that starts from it."""
    table = tmp_path / "texts.csv"
    verdicts = ("a good film", "a dull plot")
    rows = [f"{verdicts[i % 2]} {i},{i % 2}" for i in range(200)]
    table.write_text("\n".join(["text,label", *rows]) + "\n")
    flags = (
        *("--dataset", f"csv:{table}?text=text&label=label", "--model", "lstm"),
        *("--pretrain-epochs", "6", "--embedding-dim", "4", "--num-layers", "1"),
        *("--epochs", "6", "--batch-size", "16", "--dropout", "0.2"),
        *("--no-export", "--no-baseline"),
    )
    name = {"pipeline": "classify-text"}
    code, output = _complete(*flags, *_roots(tmp_path / "whole"), **name)
    assert code == 0, output
    expected = _weights(_only_run(tmp_path / "whole"))

    with _running(*flags, *_roots(tmp_path), **name) as process:
        _read_until(process, "epoch 2/6")
        process.kill()
    folder = _only_run(tmp_path)
    assert not (folder / "language_model.keras").exists()
    with _running("--resume", folder, **name) as process:
        assert "Resuming after epoch" in _read_until(process, "logits, recurrent0, emb")
        _read_until(process, "epoch 2/6")
        process.kill()
    code, output = _complete("--resume", folder, **name)
    assert code == 0, output
    assert "Perplexity" not in output  # Not trained once more.
    np.testing.assert_array_equal(_weights(folder), expected)


def _fill(disk):
    """Takes all the room that is left."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


@pytest.mark.slow
def test_disk_that_fills_up_leaves_a_run_to_go_on_with(
    tmp_path, small_disk, uninterrupted
):
    disk = small_disk(64)
    roots = ("--runs-dir", disk / "runs", "--saved-models-dir", tmp_path / "exports")
    with _running(*_FLAGS, *roots, "--no-export") as process:
        _read_until(process, "epoch 3/")
        _fill(disk)
        output = _read_rest(process)
    folder = _only_run(disk)
    assert process.returncode == 1, output
    assert "No space left on device" in output
    assert f"--resume {folder}\n" in output
    assert "Traceback" not in output

    (disk / "filler").unlink()
    code, output = _complete("--resume", folder)
    assert code == 0, output
    assert "Resuming after epoch" in output
    np.testing.assert_array_equal(_weights(folder), uninterrupted)


@pytest.mark.parametrize("flag", ["--runs-dir", "--saved-models-dir"])
def test_place_that_cannot_be_written_is_found_before_training(tmp_path, flag, capsys):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    arguments = ["run", "classify-images", *_FLAGS, *_roots(tmp_path), flag, str(below)]
    assert cli.main(arguments) == 1
    output = capsys.readouterr()
    assert f"Cannot write {below}: Not a directory" in output.err
    assert "epoch" not in output.out


def test_diverging_run_stops_with_step_and_rate_and_exports_nothing(tmp_path, capsys):
    arguments = ["run", "classify-images", *_FLAGS, *_roots(tmp_path)]
    assert cli.main([*arguments, "--optimizer", "sgd", "--learning-rate", "1e30"]) == 1
    error = capsys.readouterr().err
    assert "at step " in error
    assert "learning rate of " in error
    assert "Nothing was exported" in error
    assert not list((tmp_path / "saved_models").iterdir())
    assert not (_only_run(tmp_path) / "model.keras").exists()
