import dataclasses
import json

import keras
import pytest

from modelyard.training import run_folder as runs


@dataclasses.dataclass(frozen=True)
class _Config:
    dataset: str = "digits"
    epochs: int = 3


def test_two_runs_of_one_second_get_folders_of_their_own(tmp_path):
    one, two = (
        runs.new_run_folder(tmp_path, "classify-images", "digits", "mlp")
        for _ in range(2)
    )
    assert one != two
    assert one.parent == tmp_path / "classify-images" / "digits-mlp"


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mnist", "mnist"),
        ("emnist/letters", "emnist-letters"),
        ("digits?fold=2", "digits-fold-2"),
        ("folder:/home/me/my cats?size=64", "folder-my-cats-size-64"),
    ],
)
def test_slug_is_a_plain_file_name(dataset, expected):
    assert runs.slug(dataset) == expected


def test_config_comes_back_as_it_was_written(tmp_path):
    config = _Config(epochs=7)
    runs.write_config(tmp_path, "classify-images", config)
    assert runs.read_config(tmp_path, _Config) == config
    written = json.loads((tmp_path / "config.json").read_text())
    assert written == {"pipeline": "classify-images", "dataset": "digits", "epochs": 7}


def test_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(runs.RunError, match=r"`run` must be the folder of a run"):
        runs.read_config(tmp_path, _Config)


def test_unfinished_run_is_answered_with_the_way_to_finish_it(tmp_path):
    runs.write_config(tmp_path, "classify-images", _Config())
    with pytest.raises(runs.RunError, match=r"modelyard run classify-images --resume"):
        runs.require_finished(tmp_path)


def test_environment_names_versions_hardware_and_precision():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    environment = runs.describe_environment(model)
    assert environment["versions"]["keras"] == keras.__version__
    assert environment["cores"] >= 1
    assert environment["cpu"]
    assert environment["dtype_policy"] == "float32"
    assert environment["xla"] is False
    json.dumps(environment)
