import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = [
    path
    for path in sorted(FOLDER.rglob("*.py"))
    # Those with PyTorch run in another Python.
    if "import argparse" in path.read_text() and "import torch" not in path.read_text()
]


@pytest.fixture
def own_modules(monkeypatch):
    """The scripts import their neighbours by bare names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_imports_what_exists_and_explains_itself(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    summary = path.read_text().splitlines()[0].strip('".')
    assert summary.split(":")[0] in capsys.readouterr().out
