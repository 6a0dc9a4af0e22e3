import pytest

from modelyard.training.files import (
    StorageError,
    require_space,
    write_atomically,
    write_json,
    write_text,
)


def test_failed_write_keeps_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "metrics.json"
    write_text(path, "old")

    def write(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"metrics\.json: No space left.*--runs-dir"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_indented_text(tmp_path):
    write_json(tmp_path / "a.json", {"accuracy": 0.5})
    assert (tmp_path / "a.json").read_text() == '{\n  "accuracy": 0.5\n}\n'


def test_missing_folder_is_created_when_space_is_required(tmp_path):
    require_space(tmp_path / "a" / "b", 1)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_too_little_space_is_reported_with_both_sizes(tmp_path):
    with pytest.raises(StorageError, match=r"needs 1000000000000 MB .* has \d+ MB"):
        require_space(tmp_path, 10**18)


def test_path_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/runs"):
        require_space(tmp_path / "file" / "runs", 1)
