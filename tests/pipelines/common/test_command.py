import json

import pytest

from modelyard.data.catalogue import parse_spec
from modelyard.data.settings import make_config
from modelyard.pipelines import find_pipeline
from modelyard.pipelines.classify_images.config import Config
from modelyard.pipelines.common.command import parse_config
from modelyard.training.run_folder import read_config, write_config


def _config(*arguments, pipeline="classify-images"):
    return parse_config(find_pipeline(pipeline), list(arguments))[0]


def test_recipe_gives_the_defaults():
    assert _config("--recipe", "smoke").epochs == 1


def test_file_wins_over_recipe_and_flags_over_the_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"epochs": 7, "seed": 3}))
    config = _config("--recipe", "smoke", "--config", str(path), "--seed", "4")
    assert (config.recipe, config.epochs, config.seed) == ("smoke", 7, 4)


def test_recipe_of_the_file_is_used(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"recipe": "smoke"}))
    assert _config("--config", str(path)).max_train_examples is not None


def test_recipes_differ_by_data_set_and_model():
    mnist = _config("--dataset", "mnist")
    assert mnist.epochs != _config("--dataset", "digits").epochs
    assert mnist.epochs != _config("--dataset", "mnist", "--model", "lenet").epochs


def test_fold_of_a_data_set_has_its_recipe():
    assert _config("--dataset", "digits?fold=2").epochs == _config().epochs


def test_config_written_by_a_run_can_be_used_as_a_file(tmp_path):
    config = _config("--epochs", "5", "--batch-size", "full")
    write_config(tmp_path, "classify-images", config)
    assert _config("--config", str(tmp_path / "config.json")) == config


@pytest.mark.parametrize("counts", [("auto",), ("20", "100"), ()])
def test_config_of_transfer_learning_survives_its_file(tmp_path, counts):
    flags = ["--model", "mobilenet_v2", "--learning-curve", *counts]
    config = _config(*flags, pipeline="transfer-images")
    assert config.model == "mobilenet_v2"
    write_config(tmp_path, "transfer-images", config)
    file = str(tmp_path / "config.json")
    assert _config("--config", file, pipeline="transfer-images") == config


def test_misspelt_setting_in_a_file_is_answered_with_the_nearest(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"epoch": 7}))
    with pytest.raises(
        ValueError, match=r"setting in .*config\.json.*Did you mean epochs\?"
    ):
        _config("--config", str(path))


@pytest.mark.parametrize("text", ["not json", "[1]"])
def test_unreadable_file_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"`config` must .*config\.json"):
        _config("--config", str(path))


def test_unknown_recipe_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of smoke, fast, best.*'fats'"):
        _config("--recipe", "fats")


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1. Received: epochs=0"),
        ({"batch_size": 0}, 'at least 1, or "full"'),
        ({"learning_rate": -1.0}, "above 0"),
        ({"label_smoothing": 1.0}, r"in \[0, 1\)"),
        ({"validation_share": 0.0}, r"in \(0, 1\)"),
        ({"model": "convnett"}, r"one of perceptron, .*Did you mean convnet\?"),
    ],
)
def test_value_out_of_range_is_refused_with_its_rule(values, rule):
    with pytest.raises(ValueError, match=rule):
        make_config(Config, values)


def test_refused_flag_ends_with_exit_code_two_and_the_rule(capsys):
    with pytest.raises(SystemExit) as caught:
        _config("--epochs", "0")
    assert caught.value.code == 2
    assert "`epochs` must be at least 1" in capsys.readouterr().err


def test_resume_stands_alone(tmp_path):
    with pytest.raises(
        ValueError, match=r"`--resume` must be the only option.*--epochs 3"
    ):
        _config("--resume", str(tmp_path), "--epochs", "3")


def test_resumed_folder_has_to_be_a_run(tmp_path):
    with pytest.raises(ValueError, match="folder of a run"):
        _config("--resume", str(tmp_path))


@pytest.mark.parametrize("name", ["--dataset", "--model", "--recipe", "--config"])
def test_empty_value_is_no_default(name):
    # As of an unset shell variable.
    with pytest.raises(ValueError, match=r"must be|Unknown data set"):
        parse_spec(_config(name, "").dataset)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"epochs": "ten"}, "`epochs` must be a whole number.*'ten'"),
        ({"epochs": None}, "`epochs` must be a whole number.*None"),
        ({"stem": "banana"}, "`stem` must be one of strided, pooled or null"),
        ({"batch_size": "all"}, '`batch_size` must be a whole number or "full"'),
    ],
)
def test_value_of_another_type_in_a_file_is_refused(tmp_path, values, rule):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=rule):
        _config("--config", str(path))


def test_config_that_still_calls_the_model_backbone_can_be_used(tmp_path):
    settings = {"pipeline": "transfer-images", "backbone": "mobilenet_v2"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    config = _config("--config", str(path), pipeline="transfer-images")
    assert config.model == "mobilenet_v2"
    kind = find_pipeline("transfer-images").load_settings().Config
    assert read_config(tmp_path, kind).model == "mobilenet_v2"
