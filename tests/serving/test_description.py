"""The description of an export comes back as written, or the fault is named."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from modelyard.serving.description import (
    DESCRIPTION_FILE,
    ExportDescription,
    read_description,
    write_description,
)

CLASSES = ExportDescription(
    "classify-images", "classes", "images", class_names=("Käse", "dog")
)


@pytest.mark.parametrize(
    "description",
    [CLASSES, ExportDescription("predict-prices", "value", "arrays", unit="€")],
)
def test_description_comes_back(tmp_path, description):
    path = tmp_path / DESCRIPTION_FILE
    write_description(path, description)
    assert read_description(tmp_path) == description
    assert path.read_text(encoding="utf-8").startswith('{\n  "task": "')


def test_export_without_description_has_none(tmp_path):
    assert read_description(tmp_path) is None


def test_fields_of_later_versions_are_ignored(tmp_path):
    path = tmp_path / DESCRIPTION_FILE
    write_description(path, CLASSES)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "red"}))
    assert read_description(tmp_path) == CLASSES


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": "smells"}, "is damaged: `kind` must be .* Received: kind='smells'"),
        ({"inputs": "files"}, "`inputs` must be .* Received: inputs='files'"),
        ({"task": ""}, "`task` must not be empty"),
        ({"unit": 3}, "`unit` must be a string. Received: unit=3"),
        ({"class_names": [1]}, r"`class_names` .* Received: class_names=\(1,\)"),
        ({"class_names": "ab"}, "`class_names` .* Received: class_names='ab'"),
    ],
)
def test_wrong_field_is_named_with_its_file(tmp_path, change, fault):
    path = tmp_path / DESCRIPTION_FILE
    write_description(path, CLASSES)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{fault}"):
        read_description(tmp_path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"task": "classify', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[1]", "must hold a JSON object. Received: list"),
        (b'{"task": "t"}', "lacks the fields kind, inputs"),
    ],
)
def test_damaged_file_is_named(tmp_path, content, fault):
    path = tmp_path / DESCRIPTION_FILE
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} {fault}"):
        read_description(tmp_path)


def test_description_cannot_be_built_with_a_wrong_kind():
    with pytest.raises(ValueError, match=r"`kind` must be .*Received: kind='class'"):
        dataclasses.replace(CLASSES, kind="class")


def test_reading_needs_no_tensorflow():
    code = (
        "import sys, modelyard.serving.description\n"
        "sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
