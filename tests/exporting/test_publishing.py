import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from modelyard.exporting import publishing
from modelyard.exporting.publishing import GateError, bytes_example, publish_export
from modelyard.serving.description import ExportDescription, read_description
from modelyard.serving.golden import GOLDEN_FILE, read_golden
from modelyard.serving.native.loader import decode_tensor
from modelyard.serving.warmup import read_warmup

_GOLDEN = {
    "serving_default": (
        {"pixels": np.arange(6.0, dtype="float32").reshape(3, 2)},
        {"values": np.arange(3.0, dtype="float32")},
    )
}


class _Archive:
    """Writes a file in place of a SavedModel."""

    def write_out(self, path, verbose):
        Path(path).mkdir(exist_ok=True)
        Path(path, "saved_model.pb").touch()


class _FullDisk:
    def write_out(self, path, verbose):
        Path(path, "variables").mkdir()
        raise tf.errors.UnknownError(
            None, None, "{{function_node save}} variables.index; No space left"
        )


@pytest.fixture
def gate(monkeypatch):
    """A gate without a process; `ok` decides what it says."""
    rules = [
        types.SimpleNamespace(rule="loads", ok=True, detail="fine"),
        types.SimpleNamespace(rule="golden", ok=False, detail="differs by 0.01"),
    ]
    result = types.SimpleNamespace(ok=True, rules=rules)
    monkeypatch.setattr(publishing, "check_saved_model", lambda _: result)
    return result


def _publish(base, archive=_Archive, **fields):
    values = {
        "golden": _GOLDEN,
        "description": ExportDescription("predict-ages", "value", "images"),
        "extra_files": [],
    }
    return publish_export(base, archive, **{**values, **fields})


@pytest.mark.usefixtures("gate")
def test_export_holds_everything_that_servers_and_users_need(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    description = ExportDescription("t", "classes", "texts", ("cat", "höhle"))
    path = _publish(
        tmp_path / "saved_models" / "ages",
        description=description,
        extra_files=[tmp_path / "metrics.json"],
        tolerance=0.25,
    )
    assert path == tmp_path / "saved_models" / "ages" / "1"
    assert read_description(path) == description
    extra = path / "assets.extra"
    assert (extra / "labels.txt").read_text(encoding="utf-8") == "cat\nhöhle\n"
    assert (extra / "metrics.json").read_text() == "{}"
    golden = read_golden(path / GOLDEN_FILE)
    assert golden.tolerance == 0.25
    np.testing.assert_array_equal(
        golden.requests["serving_default"][0]["pixels"],
        _GOLDEN["serving_default"][0]["pixels"],
    )
    (warmup,) = read_warmup(extra / "tf_serving_warmup_requests")
    assert warmup.signature == "serving_default"
    pixels = decode_tensor(warmup.inputs["pixels"])
    np.testing.assert_array_equal(pixels, [[0.0, 1.0]])


@pytest.mark.usefixtures("gate")
def test_export_of_values_has_no_labels(tmp_path):
    path = _publish(tmp_path)
    assert not (path / "assets.extra" / "labels.txt").exists()


@pytest.mark.usefixtures("gate")
def test_folders_can_be_read_by_a_server_of_another_user(tmp_path):
    assert _publish(tmp_path).stat().st_mode & 0o055 == 0o055


@pytest.mark.usefixtures("gate")
def test_next_export_takes_the_next_free_number(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    assert _publish(tmp_path).name == "8"
    assert _publish(tmp_path).name == "9"


def test_refused_export_leaves_nothing_behind(gate, tmp_path):
    gate.ok = False
    with pytest.raises(GateError, match=r"published\. golden: differs by 0\.01$") as e:
        _publish(tmp_path / "ages")
    assert e.value.result is gate
    assert list(tmp_path.iterdir()) == []


def test_refused_export_leaves_older_versions_alone(gate, tmp_path):
    old = _publish(tmp_path / "ages")
    gate.ok = False
    with pytest.raises(GateError):
        _publish(tmp_path / "ages")
    assert list((tmp_path / "ages").iterdir()) == [old]
    assert (old / "saved_model.pb").exists()


def test_full_disk_is_an_os_error_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(OSError, match=r"^No space left$"):
        _publish(tmp_path / "ages", _FullDisk)
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/ages"):
        _publish(tmp_path / "file" / "ages")


def test_number_taken_at_the_last_moment_is_left_alone(tmp_path):
    partial = tmp_path / ".partial-1"
    partial.mkdir()
    (partial / "saved_model.pb").touch()
    taken = tmp_path / "1"
    listed = iter([[], [taken]])

    class Base(type(tmp_path)):
        def iterdir(self):
            # Another run publishes between the look and the rename.
            taken.mkdir(exist_ok=True)
            (taken / "theirs").touch()
            return next(listed)

    assert publishing._publish(partial, Base(tmp_path)) == tmp_path / "2"
    assert (taken / "theirs").exists()


def test_example_has_one_feature_of_one_string():
    parsed = tf.io.parse_example(
        [bytes_example("image", b"\x00\xff")],
        {"image": tf.io.FixedLenFeature([], tf.string)},
    )
    assert parsed["image"].numpy().tolist() == [b"\x00\xff"]
