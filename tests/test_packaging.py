"""What is installed, and the ways to start a pipeline."""

import configparser
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import modelyard.data
from modelyard.pipelines import PIPELINES, cli

ROOT = Path(__file__).parents[1]
ROOMS = [path.parent for path in sorted(ROOT.glob("*/__init__.py"))]
INSTALLED = Path(modelyard.data.__file__).parents[1]


@pytest.fixture(scope="module")
def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def _pairs(text):
    """Lines of `key = value` as a dict."""
    return dict(line.split(" = ") for line in text.strip().splitlines())


def _files(folder):
    """All files below a folder, relative to the one above it."""
    return {
        path.relative_to(folder.parent)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_setup_cfg_lists_every_package(setup_cfg):
    folders = {path.parent for room in ROOMS for path in _files(room)}
    packages = setup_cfg["options"]["packages"].split()
    assert packages == list(dict.fromkeys(packages))
    assert set(packages) == {".".join(("modelyard", *path.parts)) for path in folders}


def test_setup_cfg_maps_every_room(setup_cfg):
    expected = {f"modelyard.{room.name}": room.name for room in ROOMS}
    assert _pairs(setup_cfg["options"]["package_dir"]) == expected


def test_every_folder_of_modules_is_a_package():
    for room in ROOMS:
        for path in _files(room):
            assert (ROOT / path.parent / "__init__.py").exists(), path.parent


def test_setup_cfg_lists_every_data_file(setup_cfg):
    listed = {
        path.relative_to(ROOT)
        for package, patterns in setup_cfg["options.package_data"].items()
        for pattern in patterns.split(", ")
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    files = {path for room in ROOMS for path in _files(room) if path.suffix != ".py"}
    assert listed == files


def test_every_room_is_typed():
    for room in ROOMS:
        assert (room / "py.typed").exists(), room


@pytest.mark.skipif(INSTALLED == ROOT, reason="installed with -e; tox builds a wheel")
def test_wheel_holds_the_files_of_the_checkout_and_no_others():
    expected = {path for room in ROOMS for path in _files(room)}
    assert {path for room in INSTALLED.iterdir() for path in _files(room)} == expected


def test_command_is_installed():
    (command,) = metadata.entry_points(group="console_scripts", name="modelyard")
    assert command.load() is cli.main


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_script_module_and_command_are_the_same(pipeline, monkeypatch, capsys):
    folder = ROOT / "pipelines" / pipeline.package.rpartition(".")[2]
    script = subprocess.run(
        [sys.executable, folder, "--help"], capture_output=True, text=True, check=True
    )
    with pytest.raises(SystemExit):
        cli.main(["run", pipeline.name, "--help"])
    command = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["-m", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module(pipeline.package, run_name="__main__")
    module = capsys.readouterr().out
    assert f"modelyard run {pipeline.name}" in command
    assert script.stdout == module == command
