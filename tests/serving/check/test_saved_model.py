"""Every kind of broken SavedModel is caught by the right rule."""

import contextlib
import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from modelyard.serving.check.rules import RULES
from modelyard.serving.check.saved_model import check_saved_model
from modelyard.serving.golden import GOLDEN_FILE, read_golden, write_golden
from modelyard.serving.native.protos import message_class
from modelyard.serving.warmup import WARMUP_FILE, write_warmup

pytestmark = pytest.mark.slow


def failures(directory, **options):
    result = check_saved_model(directory, **options)
    return {rule.rule: rule for rule in result.rules if rule.ok is False}, result


def test_good_export_follows_every_rule(saved_models):
    broken, result = failures(saved_models / "good")
    assert not broken
    assert result.ok
    assert [rule.rule for rule in result.rules] == [rule.name for rule in RULES]
    assert all(rule.ok for rule in result.rules)
    assert json.loads(json.dumps(dataclasses.asdict(result)))["ok"] is True


@pytest.mark.parametrize(
    ("name", "rules", "seen", "remedy"),
    [
        ("bfloat16", {"dtypes"}, "scores is bfloat16", "cast"),
        ("compiled", {"no_xla", "runs"}, "jit_compile=True", "without jit_compile"),
        ("jax", {"names", "no_xla", "runs"}, "XlaCallModule", "KERAS_BACKEND"),
        ("cudnn", {"cpu_ops", "runs"}, "CudnnRNNV3", "CUDA_VISIBLE_DEVICES=-1"),
        ("fixed_batch", {"batch"}, "float32 [1, 12]", "None as first dimension"),
        ("flattened", {"batch"}, "fails with 3 rows", "reshape with -1"),
        ("reduced", {"batch"}, "`mean` of shape []", "None as first dimension"),
        ("unnamed", {"serving_default"}, "['predict']", "add_endpoint"),
        ("forgetful", {"names", "runs"}, "Could not find variable", "ExportArchive"),
    ],
)
def test_broken_export_is_caught(saved_models, name, rules, seen, remedy):
    broken, result = failures(saved_models / name)
    assert not result.ok
    assert set(broken) == rules
    assert any(seen in rule.detail for rule in broken.values())
    assert any(remedy in rule.fix for rule in broken.values())


def test_doubled_weights_are_advice(saved_models):
    broken, result = failures(saved_models / "doubled")
    assert result.ok
    assert set(broken) == {"names", "weights_once"}
    assert "2 weights are duplicated (480 bytes)" in broken["weights_once"].detail
    assert "serving_default.output_0" in broken["names"].detail


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.data-*"])
def test_truncated_file_is_caught(good_copy, name):
    (path,) = good_copy.glob(name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    broken, result = failures(good_copy)
    assert not result.ok
    assert "files" in broken


def test_changed_weight_is_caught_by_its_checksum(good_copy):
    (path,) = good_copy.glob("variables/variables.data-*")
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    assert "Checksum does not match" in failures(good_copy)[0]["files"].detail


def test_missing_variables_are_caught_though_it_loads(good_copy):
    shutil.rmtree(good_copy / "variables")
    broken, result = failures(good_copy)
    assert "variables/variables.index" in broken["files"].detail
    assert "loads" not in broken
    assert not result.ok


@pytest.mark.parametrize("made", [True, False])
def test_directory_without_model_is_caught(tmp_path, made):
    directory = tmp_path / "model"
    if made:
        directory.mkdir()
    broken, result = failures(directory)
    assert set(broken) == {"files"}
    assert not result.ok
    seen = "is empty" if made else "There is no directory"
    assert seen in broken["files"].detail


def test_newest_version_is_checked(saved_models, tmp_path):
    for name, version in (("good", "9"), ("unnamed", "10"), ("good", "11.partial")):
        shutil.copytree(saved_models / name, tmp_path / version)
    broken, result = failures(tmp_path)
    assert set(broken) == {"serving_default"}
    assert result.directory == str(tmp_path / "10")
    assert "version 10, the newest" in result.note


def test_graph_in_text_form_is_read(good_copy):
    binary = good_copy / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    text = text_format.MessageToString(saved_model)
    (good_copy / "saved_model.pbtxt").write_text(text)
    binary.unlink()
    assert not failures(good_copy)[0]


def test_missing_asset_is_caught(good_copy):
    path = good_copy / "saved_model.pb"
    saved_model = message_class("SavedModel").FromString(path.read_bytes())
    saved_model.meta_graphs[0].asset_file_def.add(filename="words.txt")
    path.write_bytes(saved_model.SerializeToString())
    assert "assets/words.txt" in failures(good_copy)[0]["files"].detail


def test_other_tag_is_caught(good_copy):
    path = good_copy / "saved_model.pb"
    saved_model = message_class("SavedModel").FromString(path.read_bytes())
    saved_model.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    path.write_bytes(saved_model.SerializeToString())
    broken, _ = failures(good_copy)
    assert set(broken) == {"serve_tag", "loads"}
    assert "['train']" in broken["serve_tag"].detail


def test_wrong_golden_answer_is_caught(good_copy):
    golden = read_golden(good_copy / GOLDEN_FILE)
    golden.requests["serve_bytes"][1]["scores"][0, 1] += 0.01
    write_golden(good_copy / GOLDEN_FILE, golden.requests, golden.tolerance)
    broken, result = failures(good_copy)
    assert set(broken) == {"golden"}
    assert "`serve_bytes`, `scores`: differs by 0.01" in broken["golden"].detail
    assert not result.ok


def test_damaged_golden_file_is_caught(good_copy):
    (good_copy / GOLDEN_FILE).write_bytes(b"PK\3\4 no archive")
    broken, _ = failures(good_copy)
    assert set(broken) == {"golden"}


@pytest.mark.parametrize(
    ("signature", "inputs", "seen"),
    [
        ("predict", {"pixels": np.zeros((1, 12), "float32")}, "no signature"),
        ("serving_default", {"x": np.zeros((1, 12), "float32")}, "takes the inputs"),
        ("serving_default", {"pixels": np.zeros((1, 12))}, "must be float32"),
        ("serve_bytes", {"image_bytes": np.array([b"?"])}, "INVALID_ARGUMENT"),
    ],
)
def test_broken_warmup_request_is_caught(good_copy, signature, inputs, seen):
    write_warmup(good_copy / WARMUP_FILE, [(signature, inputs)], "good")
    broken, result = failures(good_copy)
    assert set(broken) == {"warmup"}
    assert seen in broken["warmup"].detail
    assert not result.ok


def test_without_requests_empty_strings_may_be_rejected(good_copy):
    shutil.rmtree(good_copy / "assets.extra")
    broken, result = failures(good_copy)
    assert not broken
    details = {rule.rule: rule for rule in result.rules}
    assert "`serve_bytes` rejects made-up inputs" in details["runs"].detail
    assert [details[name].ok for name in ("batch", "warmup", "golden")] == [None] * 3


def test_endless_model_is_stopped(saved_models):
    # A busy machine may need more time to get as far as running the model.
    for seconds in (1, 4, 16, 64):
        with contextlib.suppress(RuntimeError):  # The process has not even started.
            broken, result = failures(saved_models / "endless", timeout_seconds=seconds)
            if set(broken) == {"runs"}:
                break
    assert f"was stopped after {seconds} seconds" in broken["runs"].detail
    assert [rule.ok for rule in result.rules[-3:]] == [None] * 3


@pytest.fixture
def fake_python(tmp_path, monkeypatch):
    """Replaces the checking process by a shell script."""

    def install(script):
        path = Path(tmp_path, "python")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return install


def test_crash_is_blamed_on_the_rule_being_checked(fake_python, saved_models):
    fake_python("""
        echo '{"begin": "files"}' > "$5"
        echo '{"finding": [true, "Complete.", ""]}' >> "$5"
        echo '{"begin": "serve_tag"}' >> "$5"
        kill -SEGV $$""")
    broken, result = failures(saved_models / "good")
    assert set(broken) == {"serve_tag"}
    assert "was killed by SIGSEGV" in broken["serve_tag"].detail
    assert result.rules[0].ok
    assert all(rule.ok is None for rule in result.rules[2:])


def test_check_that_cannot_start_says_why(fake_python, saved_models):
    fake_python("echo 'no tensorflow here' >&2; exit 3")
    with pytest.raises(RuntimeError, match=r"status 3; its last line: no tensorflow"):
        check_saved_model(saved_models / "good")
