import numpy as np
import pytest

from modelyard.data.texts.loading import load_texts
from modelyard.data.texts.sheet import describe_texts


@pytest.fixture
def splits(tmp_path):
    names = ["no", "yes"] * 25
    lines = [f"{n} {'word ' * (i + 1)}[red],{n}" for i, n in enumerate(names)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *lines, lines[0]]))
    return load_texts(f"csv:{tmp_path / 't.csv'}")


def test_sheet_has_sizes_findings_classes_lengths_and_excerpts(splits):
    sheet = describe_texts(splits)
    first, sizes, checked, _, *rest = sheet.splitlines()
    assert first == f"{splits.spec} (Texts in the file t.csv)"
    parts = splits.train, splits.validation, splits.test
    assert sizes == "train {}, validation {}, test {}".format(*map(len, parts))
    assert "test is official False; train test duplicates 0;" in checked
    rows = {line.split()[0]: line.split()[1:] for line in rest if line}
    counts = np.array([rows["no"], rows["yes"]], int)
    assert counts.sum(axis=0).tolist() == [len(part) for part in parts]
    longest = [max(len(text.split()) for text in part.texts) for part in parts]
    assert rows["100%"] == [str(length) for length in longest]
    assert "\nno: no word" in sheet
    assert "\nyes: yes word" in sheet
    assert max(len(line) for line in rest) <= 88


def test_excerpts_follow_the_seed(splits):
    first, same, other = (describe_texts(splits, seed=seed) for seed in (0, 0, 1))
    assert first == same != other
