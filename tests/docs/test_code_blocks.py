"""Runs or parses every code block and every command in the documentation."""

import configparser
import dataclasses
import functools
import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tyro

import modelyard.models
from modelyard.data.catalogue import find_card, parse_spec
from modelyard.data.settings import flatten_settings
from modelyard.pipelines import PIPELINES, cli, find_pipeline
from modelyard.pipelines.common.command import parse_config

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "saved_models/README.md",
    "benchmarks/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
# Flags of TF Serving, https://www.tensorflow.org/tfx/serving/serving_config
SERVER_FLAGS = {"--rest_api_port", "--port", "--model_name", "--model_base_path"}
EXPORT = re.compile(r"(?:\$PWD/)?saved_models/(\S+)-(\w+)")


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block: fenced, or indented by four spaces and then `shell`."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def find_blocks(page, text):
    """Finds the code blocks of a page, in order."""
    blocks, lines, start = [], text.splitlines(), 0
    while start < len(lines):
        end = start + 1
        if lines[start].startswith("```"):
            while not lines[end].startswith("```"):
                end += 1
            body = lines[start + 1 : end]
            blocks.append(
                Block(page, start + 1, lines[start][3:].strip(), "\n".join(body))
            )
            end += 1
        elif lines[start].startswith("    ") and (start == 0 or not lines[start - 1]):
            while end < len(lines) and (lines[end][:4] == "    " or not lines[end]):
                end += 1
            body = textwrap.dedent("\n".join(lines[start:end]))
            blocks.append(Block(page, start + 1, "shell", body.strip()))
        start = end
    return blocks


def find_commands(text):
    """Splits shell text into commands, each a tuple of words."""
    commands = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            commands.append(tuple(words[: words.index("&&")]))
            words = words[words.index("&&") + 1 :]
        if words:
            commands.append(tuple(words))
    return commands


def find_inline_commands(text):
    """Finds the whole commands in running text and tables."""
    names = "|".join(pipeline.name for pipeline in PIPELINES)
    found = re.findall(rf"`((?:modelyard run (?:{names})|python )[^`]*)`", text)
    return [tuple(shlex.split(command)) for command in found if "<" not in command]


def _read(page):
    return (ROOT / page).read_text()


BLOCKS = [block for page in PAGES for block in find_blocks(page, _read(page))]
COMMANDS = dict.fromkeys(
    command
    for block in BLOCKS
    if block.language == "shell"
    for command in find_commands(block.text)
)
INLINE = dict.fromkeys(
    command for page in PAGES for command in find_inline_commands(_read(page))
)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "python"], ids=str
)
@pytest.mark.usefixtures("documented_python")
def test_python_block_runs(block):
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.mark.parametrize("command", [*(COMMANDS | INLINE)], ids=shlex.join)
def test_command_would_run(command, checker):
    checker.check(command)


def test_no_block_is_of_an_unknown_kind():
    unknown = [str(b) for b in BLOCKS if b.language not in ("python", "shell")]
    assert not unknown


def test_every_page_was_read():
    assert len(BLOCKS) > 20
    assert {"README.md", "CONTRIBUTING.md"} <= {block.page for block in BLOCKS}
    assert len(INLINE) > 20


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf runs",
        "modelyard destroy",
        "modelyard run classify-images --epoch 3",
        "modelyard run classify-images --dataset mnits",
        "modelyard run classify-images --model fast_cifar",
        "modelyard predict saved_models/digits-convnet --output_file x.png",
        "modelyard predict saved_models/digit-convnet x.png",
        "python benchmarks/mnist.py",
        "python benchmarks/mnist_figures.py --figure fast",
        "python benchmarks/mnist_figures.py --figures quick",
        "python setup.py",
        ".venv/bin/pip install '.[sample]'",
        ".venv/bin/tox -e none",
        ".venv/bin/pytest tests/nothing",
        ".venv/bin/pytest -m quick",
        "tensorflow_model_server --model_path=x",
    ],
)
def test_wrong_command_is_found(command, checker):
    with pytest.raises((AssertionError, ValueError, SystemExit)) as failure:
        checker.check(tuple(shlex.split(command)))
    assert getattr(failure.value, "code", 1) != 0


def test_builders_in_the_documentation_exist():
    named = {n for page in PAGES for n in re.findall(r"\bbuild_\w+", _read(page))}
    missing = [name for name in named if not hasattr(modelyard.models, name)]
    assert len(named) > 10
    assert missing == []


def test_blocks_are_found_whole():
    page = "Text\n\n    a && b  # why\n    c \\\n        --d\n\n```python\nx = 1\n```\n"
    shell, python = find_blocks("page", page)
    assert find_commands(shell.text) == [("a",), ("b",), ("c", "--d")]
    assert (python.line, python.language, python.text) == (7, "python", "x = 1")


class Checker:
    """Checks commands; the cheap ones are really run."""

    def __init__(self, finished, folder):
        self._run, self._root = finished
        self._folder = folder

    def check(self, words):
        """Fails unless a command would work in a checkout with its environment."""
        checks = {
            "modelyard": self._check_modelyard,
            "python": _check_python,
            "python3": _check_python,
            "pip": _check_pip,
            "tox": _check_tox,
            "pytest": _check_pytest,
            "source": _check_source,
            "tensorflow_model_server": _check_server,
        }
        name = Path(words[0]).name
        assert name in checks, f"unknown command: {name}"
        checks[name](list(words[1:]))

    def _check_modelyard(self, words):
        command, *arguments = words
        if command == "run":
            self._check_run(*arguments)
            return
        assert command in cli._COMMANDS, f"unknown command: modelyard {command}"
        found = EXPORT.match(arguments[0]) if arguments else None
        if found:
            _check_export_name(*found.groups())
        own = {
            "RUN": self._run,
            "saved_models/digits-convnet": self._root
            / "saved_models"
            / "digits-perceptron",
            "picture.png": self._folder / "picture.png",
        }
        real = [str(own.get(word, word)) for word in arguments]
        cheap = command in ("list", "evaluate", "compare")
        cheap |= command == "data" and arguments[0] == "digits"
        cheap |= command == "predict" and arguments[0] in own
        if cheap:
            assert cli.main([command, *real]) == 0
            return
        _parse_only(cli._COMMANDS[command], real)
        if command == "data":
            parse_spec(arguments[0])

    def _check_run(self, name, *arguments):
        """Parses the settings, and the data set in them."""
        own = {"RUN": self._run, "config.json": self._run / "config.json"}
        real = [str(own.get(word, word)) for word in arguments]
        pipeline = find_pipeline(name)
        if "--help" in arguments:
            with pytest.raises(SystemExit) as ended:
                parse_config(pipeline, real)
            assert ended.value.code == 0
            return
        config, _ = parse_config(pipeline, real)
        settings = flatten_settings(config)
        parse_spec(settings["dataset"])
        assert settings["model"] in pipeline.load_settings().MODELS


@pytest.fixture
def checker(finished_documented_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((8, 8), np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "picture.png")
    return Checker(finished_documented_run, tmp_path)


def _parse_only(function, arguments):
    """Parses the arguments of a command without calling it."""

    @functools.wraps(function)
    def accept(*_, **__):
        return 0

    assert tyro.cli(accept, args=arguments) == 0


def _check_export_name(dataset, model):
    """An export is named for a data set and a model that exist."""
    find_card(dataset)
    models = {m for p in PIPELINES for m in p.load_settings().MODELS}
    assert model in models, f"no pipeline has the model {model}"


def _check_python(words):
    if words == ["-m", "venv", ".venv"]:
        return
    script, *arguments = words
    assert script.startswith("benchmarks/"), f"unknown script: {script}"
    source = (ROOT / script).read_text() if (ROOT / script).is_file() else ""
    assert source, f"{script} does not exist"
    flag = ""
    for word in arguments:
        if word.startswith("--"):
            flag = word
        if word.startswith("--") or flag == "--figures":
            assert f'"{word}"' in source, f"{script} does not take {word}"


def _check_pip(words):
    assert words.pop(0) == "install"
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for word in words:
        target, _, extra = word.rstrip("]").partition("[")
        assert target in (".", "modelyard", "tox", "-e"), f"unknown target: {word}"
        known = config["options.extras_require"]
        assert not extra or extra in known, f"no extra: {extra}"


def _check_tox(words):
    config = configparser.ConfigParser()
    config.read(ROOT / "tox.ini")
    assert not words or words[0] == "-e"
    for name in words[1:]:
        assert f"testenv:{name}" in config, f"tox.ini has no environment {name}"


def _check_pytest(words):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    markers = settings["tool"]["pytest"]["ini_options"]["markers"]
    known = {re.split(r"[(:]", marker)[0] for marker in markers}
    while words:
        word = words.pop(0)
        if word == "-m":
            marker = words.pop(0).removeprefix("not ")
            assert marker in known, f"no marker: {marker}"
        else:
            assert (ROOT / word).exists(), f"{word} does not exist"


def _check_source(words):
    assert words == [".venv/bin/activate"]


def _check_server(words):
    for word in words:
        flag, _, value = word.partition("=")
        assert flag in SERVER_FLAGS, f"unknown flag: {flag}"
        found = EXPORT.match(value)
        assert flag != "--model_base_path" or found
        if found:
            _check_export_name(*found.groups())
