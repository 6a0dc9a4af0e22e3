"""Imports go one way through the rooms, and `--help` imports nothing heavy."""

import ast
import graphlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.pipelines import PIPELINES

ROOT = Path(__file__).parents[1]
# What each room may import of the others.
ROOMS: dict[str, set[str]] = {
    "data": set(),
    "models": set(),
    "serving": set(),
    "training": {"data"},
    "evaluation": {"data"},
    "reporting": {"evaluation"},
    "exporting": {"data", "evaluation", "serving"},
}
ROOMS["pipelines"] = set(ROOMS)
TASKS = [pipeline.package.rpartition(".")[2] for pipeline in PIPELINES]
# The modules of a task. Each may import those before it.
TASK_MODULES = ("__init__", "config", "steps", "page", "run", "__main__")

# Prints which heavy modules are loaded after each step; then imports the models where
# nothing else can be imported. (Keras itself imports matplotlib where it finds it.)
_STEPS = """
import contextlib, importlib, io, json, sys

OTHERS = "matplotlib", "tensorflow_datasets", "modelyard.serving", "modelyard.exporting"
HEAVY = "tensorflow", "keras", *OTHERS
loaded = {}

def report(step):
    loaded[step] = [name for name in HEAVY if name in sys.modules]

def ask_for_help(*arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            code = cli.main([*arguments, "--help"])
        except SystemExit as ended:
            code = ended.code
    assert code == 0, arguments
    report(" ".join((*arguments, "--help")))

from modelyard import pipelines
for pipeline in pipelines.PIPELINES:
    pipeline.load_settings()
    report(f"settings of {pipeline.name}")
from modelyard.pipelines import cli
ask_for_help()
ask_for_help("run")
for pipeline in pipelines.PIPELINES:
    ask_for_help("run", pipeline.name)
for command in cli._COMMANDS:
    ask_for_help(command)
print(json.dumps(loaded))

sys.modules.update(dict.fromkeys(OTHERS))
import modelyard.models
"""


def read_sources(root):
    """The source of every module in the rooms, by its full name."""
    return {
        ".".join(("modelyard", *path.relative_to(root).with_suffix("").parts)): (
            path.read_text()
        )
        for room in ROOMS
        for path in (root / room).rglob("*.py")
    }


def find_imports(sources):
    """The modules of `sources` that each of them imports, anywhere in its code.

    A package is named `package.__init__`. Importing a module of a package does not
    count as importing the package.
    """
    imports = {}
    for module, source in sources.items():
        names = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                package = module.rpartition(".")[0]
                origin = "." * node.level + (node.module or "")
                origin = importlib.util.resolve_name(origin, package)
                for alias in node.names:
                    member = f"{origin}.{alias.name}"
                    is_module = {member, f"{member}.__init__"} & sources.keys()
                    names.add(member if is_module else origin)
        imports[module] = {
            full for name in names for full in (name, f"{name}.__init__")
        } & sources.keys()
    return imports


def find_circle(imports):
    """A circle of imports, as `a -> b -> a`, or None."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return None


def find_forbidden(imports):
    """Imports against the rules of the rooms and the tasks, as `a -> b`."""
    return sorted(
        f"{module} -> {imported}"
        for module, found in imports.items()
        for imported in found
        if not _may_import(module.split(".")[1:], imported.split(".")[1:])
    )


def _may_import(module, imported):
    if module[0] != imported[0]:
        return imported[0] in ROOMS[module[0]]
    if module[0] != "pipelines":
        return True
    if imported[1] == "cli":
        return module[-1] == "__main__"
    if imported[1] in TASKS:  # The command line loads tasks by name.
        order = TASK_MODULES.index
        return module[1] == imported[1] and order(module[-1]) > order(imported[-1])
    return True


@pytest.fixture(scope="module")
def imports():
    return find_imports(read_sources(ROOT))


def test_no_imports_go_in_a_circle(imports):
    assert find_circle(imports) is None


def test_imports_follow_the_rooms_and_the_order_within_a_task(imports):
    assert find_forbidden(imports) == []


def test_rules_cover_every_room():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROOMS)


def test_every_task_has_the_same_files_and_is_in_the_list():
    folders = {path.parent for path in (ROOT / "pipelines").glob("*/*.py")}
    tasks = {folder for folder in folders if folder.name != "common"}
    assert {task.name for task in tasks} == set(TASKS)
    for task in tasks:
        files = {path.name for path in task.iterdir() if path.name != "__pycache__"}
        assert files == {f"{name}.py" for name in TASK_MODULES}, task.name


def test_help_and_settings_import_nothing_heavy_and_models_no_other_room():
    answer = subprocess.run(
        [sys.executable, "-c", _STEPS], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    loaded = json.loads(answer.stdout)
    assert {step: names for step, names in loaded.items() if names} == {}


# The rules themselves, on sources that break them.

A, B, C = "modelyard.data.a", "modelyard.data.b", "modelyard.data.c"
TEXT, IMAGES = (
    "modelyard.pipelines.classify_text",
    "modelyard.pipelines.classify_images",
)


@pytest.mark.parametrize(
    "statement",
    [
        f"import {C}",
        f"import numpy, {C} as other",
        f"from {C} import anything",
        "from modelyard.data import c",
        "from . import c",
        "from .c import anything",
        f"def late():\n    from {C} import anything",
        f"if TYPE_CHECKING:\n    from {C} import Anything",
    ],
)
def test_circle_is_found_however_it_is_written(statement):
    sources = {A: f"import {B}", B: statement, C: f"from {A} import x"}
    circle = find_circle(find_imports(sources))
    assert sorted(circle.split(" -> ")[1:]) == [A, B, C]
    assert f"{A} -> {B}" in circle


@pytest.mark.parametrize("statement", ["from modelyard.data import X", "import {}"])
def test_module_that_imports_its_package_is_a_circle(statement):
    package = "modelyard.data.__init__"
    sources = {package: f"from {A} import X", A: statement.format("modelyard.data")}
    assert set(find_circle(find_imports(sources)).split(" -> ")) == {A, package}


def test_module_that_imports_its_neighbour_is_no_circle():
    sources = {
        "modelyard.data.__init__": f"from {A} import X",
        A: f"from modelyard.data import b\nimport {B}",
        B: "import numpy",
    }
    imports = find_imports(sources)
    assert find_circle(imports) is None
    assert imports[A] == {B}


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("modelyard.data.names", "modelyard.training.files"),
        ("modelyard.models.checks", "modelyard.data.names"),
        ("modelyard.serving.golden", "modelyard.data.names"),
        ("modelyard.training.fit", "modelyard.evaluation.progress"),
        ("modelyard.evaluation.progress", "modelyard.training.fit"),
        ("modelyard.reporting.page", "modelyard.pipelines.common.finish"),
        ("modelyard.exporting.images", "modelyard.training.files"),
        (f"{TEXT}.config", f"{TEXT}.steps"),
        (f"{TEXT}.steps", f"{TEXT}.page"),
        (f"{TEXT}.page", f"{TEXT}.run"),
        (f"{TEXT}.run", f"{IMAGES}.config"),
        (f"{TEXT}.run", "modelyard.pipelines.cli"),
        ("modelyard.pipelines.common.finish", f"{TEXT}.config"),
        ("modelyard.pipelines.cli", f"{TEXT}.run"),
        ("modelyard.pipelines.__init__", f"{TEXT}.config"),
    ],
)
def test_import_against_the_rules_is_found(module, imported):
    sources = {module: f"from {imported} import x", imported: ""}
    expected = [f"{module} -> {imported}"]
    assert find_forbidden(find_imports(sources)) == expected


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("modelyard.exporting.images", "modelyard.serving.golden"),
        ("modelyard.pipelines.common.images", "modelyard.exporting.images"),
        (f"{TEXT}.run", f"{TEXT}.config"),
        (f"{TEXT}.page", "modelyard.pipelines.common.finish"),
        (f"{TEXT}.__main__", "modelyard.pipelines.cli"),
    ],
)
def test_import_along_the_rules_is_allowed(module, imported):
    sources = {module: f"from {imported} import x", imported: ""}
    assert find_forbidden(find_imports(sources)) == []
