import json
import sys

import pandas as pd
import pytest

from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.texts.files import load_text_file

ROWS = [("good, very", "pos"), ('the "worst"', "neg"), ("line\nbreak ☃", "pos")]


def load(path, text="text", label="label"):
    return load_text_file(path, text=text, label=label)


def write(path, table):
    table = table if isinstance(table, pd.DataFrame) else pd.DataFrame(table)
    if path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(
            path, index=False, sep="\t" if path.suffix.lower() == ".tsv" else ","
        )
    return path


def write_bytes(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".TSV", ".jsonl", ".parquet"])
def test_file_format_follows_the_suffix(tmp_path, suffix):
    table = pd.DataFrame(ROWS, columns=["review", "verdict"]).assign(more=1.5)
    path = write(tmp_path / f"t{suffix}", table)
    card, examples = load(path, "review", "verdict")
    assert card.class_names == ("neg", "pos")
    assert (card.source, card.content, card.splits) == ("file", "texts", {"all": 3})
    assert examples.texts.tolist() == [text for text, _ in ROWS]
    assert examples.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_numeric_classes_are_sorted_by_value(tmp_path, suffix):
    table = {"text": list("abcd"), "label": [10, 2, 2, -1]}
    card, examples = load(write(tmp_path / f"t{suffix}", table))
    assert card.class_names == ("-1", "2", "10")
    assert examples.labels.tolist() == [2, 1, 1, 0]


def test_equal_integers_are_one_class(tmp_path):
    lines = [{"text": "a", "label": 1.0}, {"text": "b", "label": 1}]
    lines.append({"text": "c", "label": " 0 "})
    content = "\n".join(json.dumps(line) for line in lines) + "\n\n"
    card, _ = load(write_bytes(tmp_path / "t.jsonl", content.encode("utf-8-sig")))
    assert card.class_names == ("0", "1")


def test_null_and_na_are_texts(tmp_path):
    path = write_bytes(tmp_path / "t.csv", b"\xef\xbb\xbftext,label\nnull,a\nNA,None\n")
    card, examples = load(path)
    assert examples.texts.tolist() == ["null", "NA"]
    assert card.class_names == ("None", "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"not a valid table"),
        (b"text,label\n", r"must have rows"),
        (b"texts,lable\na,b\n", r"`text` must be a column.*mean texts\? .*text=text"),
        (b"text,lable\na,b\n", r"`label` must.*mean lable\?.* 'text', 'lable'.*=la"),
        (b"text;label\na;b\n", r"Columns: 'text;label'"),
        (b"text,label\na,x\nb,\nc,y\nd, \n", r"'label' must not be missing.*rows 2, 4"),
        (b"text,label\na,x\nb\n", r"'label' must not be missing.*row 2"),
        (b"text,label\na,x\nb,x\n", r"'label' must have at least 2.*'x', in 2 row"),
        (b"text,label\n,x\nb,y\n  ,y\n", r"'text' must not be empty.*rows 1, 3"),
        (b"text,label\na,x\n\xff\xfe,x\nc,y\n", r"in UTF-8\. .*line 3 of"),
        (b"text,label\na,x\nb, c,y\n", r"not a valid table.*line 3"),
        (b"text,label\na,b,x\nb,c,y\n", r"as many cells as the header"),
        (b'text,label\na,x\n"b,y\nc,x\n', r"not a valid table.*EOF inside string"),
        (
            b"text,label\n" + b",x\n" * 15,
            r"rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 5 more",
        ),
    ],
)
def test_error_in_a_csv_file_is_named(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message):
        load(write_bytes(tmp_path / "t.csv", content))


def test_overlong_cell_is_named(tmp_path):
    swallowed = b'"' + b"b,y\n" * 2_600_000 + b'",y'
    content = b"text,label\na,x\n" + swallowed + b"\n"
    with pytest.raises(DatasetError, match=r"2,000,000 characters.*quot.*row 2"):
        load(write_bytes(tmp_path / "t.csv", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\nno\n[1]\n', r"must be a JSON object.*lines 2, 3 of"),
        (b'{"text": "a", "label": 1}\n{"text": "b"}\n', r"be missing.*row 2"),
        (b'{"text": "a", "label": 1}\n{"label": 2}\n', r"be empty.*row 2"),
        (b'{"text": "a", "label": 1}\n{"text": 3, "label": 2}\n', r"be texts.*row 2"),
        (b'{"text": "a", "label": []}\n', r"names or numbers.*row 1"),
        (b'{"text": "\\ud800", "label": 1}\n', r"in UTF-8.*row 1"),
        (b'{"text": "\xff", "label": 1}\n', r"in UTF-8.*line 1"),
    ],
)
def test_error_in_json_lines_is_named(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message):
        load(write_bytes(tmp_path / "t.jsonl", content))


def test_errors_in_a_parquet_file_are_named(tmp_path):
    path = write(tmp_path / "t.parquet", {"text": ["a", "b"], "label": ["x", None]})
    with pytest.raises(DatasetError, match=r"'label' must not be missing.*row 2"):
        load(path)
    path = write(tmp_path / "t.parquet", {"text": [b"a", b"\xff"], "label": [0, 1]})
    with pytest.raises(DatasetError, match=r"'text' must be in UTF-8.*row 2"):
        load(path)
    with pytest.raises(DatasetError, match="not a Parquet file"):
        load(write_bytes(tmp_path / "t.parquet", b"text,label"))


def test_invalid_utf8_in_a_parquet_file_is_named(tmp_path):
    import pyarrow
    import pyarrow.parquet

    raw = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary())
    texts = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    table = pyarrow.table({"text": texts, "label": [0, 1, 0]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DatasetError, match=r"'text' must be in UTF-8.*row 2"):
        load(tmp_path / "t.parquet")


def test_missing_parquet_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetUnavailableError, match=r"pip install pyarrow"):
        load(write_bytes(tmp_path / "t.parquet", b""))


def test_missing_file_and_unknown_format_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"does not exist.*x\.csv"):
        load(tmp_path / "x.csv")
    with pytest.raises(DatasetError, match=r"\.csv, \.tsv, \.jsonl, \.parquet.*\.txt"):
        load(write_bytes(tmp_path / "x.txt", b""))
