import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.fixture(scope="module")
def tables():
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    try:
        import tables

        yield tables
    finally:
        sys.path.remove(folder)
        for name in ("tables", "table_cells", "table_rows", "machine"):
            sys.modules.pop(name, None)


@pytest.fixture
def copy(tmp_path):
    """A copy of the pages, the results and the scripts."""
    for path in [*PAGES, *(ROOT / "benchmarks").glob("*.py")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    shutil.copytree(
        ROOT / "benchmarks" / "results", tmp_path / "benchmarks" / "results"
    )
    return tmp_path


def _change_result(root, file, figure, key, value):
    path = root / "benchmarks" / "results" / f"{file}.json"
    results = json.loads(path.read_text())
    for run in results[figure]["runs"]:
        run[key] = value
    results[figure][key] = dict.fromkeys(("mean", "median", "min", "max"), value)
    path.write_text(json.dumps(results))


def test_no_table_is_stale(tables):
    stale = [str(path) for path in tables.find_stale_pages()]
    assert not stale, f"run python benchmarks/tables.py: {stale}"


def test_changed_result_makes_every_page_that_shows_it_stale(tables, copy):
    _change_result(copy, "mnist", "convnet_fast", "accuracy", 0.12345)
    stale = tables.find_stale_pages(copy)
    assert {str(path.relative_to(copy)) for path in stale} == {
        "README.md",
        "benchmarks/README.md",
        "docs/classify-images.md",
    }
    assert all("12.35%" in text or "12.34%" in text for text in stale.values())


def test_check_fails_on_a_stale_page_and_writing_repairs_it(copy):
    _change_result(copy, "imdb", "gru_fast", "accuracy", 0.5)
    page = copy / "benchmarks" / "README.md"
    before = page.read_text()
    command = [sys.executable, str(copy / "benchmarks" / "tables.py")]

    check = subprocess.run([*command, "--check"], check=False, capture_output=True)
    assert check.returncode == 1
    assert b"benchmarks/README.md is stale" in check.stdout
    assert page.read_text() == before

    subprocess.run(command, check=True, capture_output=True)
    assert "50.00%" in page.read_text()
    assert subprocess.run([*command, "--check"], check=False).returncode == 0


def test_unknown_table_is_named(tables, copy):
    page = copy / "docs" / "data.md"
    page.write_text("<!-- table: none -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match=r"data\.md must name a table.*Received: none"):
        tables.find_stale_pages(copy)


def test_every_table_is_on_a_page_and_every_marker_has_its_end(tables):
    text = "".join(path.read_text() for path in PAGES)
    shown = re.findall(r"<!-- table: (\S+) -->", text)
    assert set(shown) == set(tables.TABLES)
    assert len(shown) == text.count("<!-- end -->")


def test_every_result_is_in_a_table(tables):
    measured = set()
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        content = json.loads(path.read_text())
        if "machine" in content:
            measured.add(path.stem)
        else:
            measured |= {f"{path.stem}/{figure}" for figure in content}
    shown = {row.entry for table in tables.TABLES.values() for row in table.rows}
    assert shown == measured


def test_published_references_are_in_use(tables):
    from table_rows import REFERENCES

    used = {row.reference for table in tables.TABLES.values() for row in table.rows}
    assert set(REFERENCES) == used - {""}


def test_disturbed_runs_count_for_accuracy_but_not_for_seconds(tables):
    rows = [line.split(" | ") for line in tables.make_table("imdb").splitlines()]
    (fnet,) = (row for row in rows if row[0] == "| `fnet`")
    assert fnet[1:4] == ["86.68% ± 0.35", "3", "255 (1 run)"]


def test_seconds_include_those_of_the_teachers(tables):
    entry = tables.read_entry("imdb/ngram_best")
    whole = entry["seconds"]["mean"] + entry["teachers_seconds"]["mean"]
    assert f"| {whole:.0f} ± " in tables.make_table("imdb")


@pytest.mark.parametrize(
    ("cpu", "bfloat16", "instructions", "label"),
    [
        ("Intel(R) Xeon(R)", True, ["amx_bf16", "avx512_bf16"], "Xeon AMX"),
        ("Intel(R) Xeon(R)", True, ["avx512_bf16"], "Xeon AVX-512"),
        ("Intel(R) Xeon(R)", False, ["avx512f"], "Xeon AVX-512"),
        ("Intel(R) Xeon(R)", False, [], "Xeon"),
        ("AMD EPYC", True, None, "EPYC AVX-512"),
        ("AMD EPYC", False, None, "EPYC"),
        ("Some CPU", True, None, "Some CPU"),
    ],
)
@pytest.mark.usefixtures("tables")
def test_machine_label_claims_only_what_was_recorded(
    cpu, bfloat16, instructions, label
):
    from machine import label_machine

    facts = {"cpu": cpu, "bfloat16_in_hardware": bfloat16}
    if instructions is not None:
        facts["instructions"] = instructions
    assert label_machine(facts) == label


def test_machine_column_tells_the_precision_of_training(tables):
    lines = tables.make_table("mnist").splitlines()
    assert all("Xeon AMX bf16" in line for line in lines[2:] if "peer" not in line)
    (peer,) = (line for line in lines if "peer:" in line)
    assert "Xeon AMX float32" in peer
    assert all(
        "float32" in line for line in tables.make_table("transfer").splitlines()[2:]
    )
