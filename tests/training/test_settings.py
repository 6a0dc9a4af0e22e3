"""Tests of the settings that several pipelines share."""

import types

import pytest

from modelyard.training.settings import (
    DataSettings,
    OptimizerSettings,
    OutputSettings,
    PatchSettings,
    check_basics,
)

BASICS = {"epochs": 1, "batch_size": 1, "learning_rate": 1e-9, "seed": 0}


def test_least_basics_are_accepted():
    check_basics(types.SimpleNamespace(**BASICS))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("epochs", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", float("nan"), "above 0"),
        ("seed", -1, "at least 0"),
    ],
)
def test_basics_are_checked(name, value, rule):
    config = types.SimpleNamespace(**{**BASICS, name: value})
    message = f"^`{name}` must be {rule}. Received: {name}={value}$"
    with pytest.raises(ValueError, match=message):
        check_basics(config)


def test_least_settings_of_groups_are_accepted():
    PatchSettings(patch_size=1, max_patches=1, min_updates=0)
    OptimizerSettings(warmup_share=0, weight_decay=0, momentum=0, clip_norm=0, ema=0)
    OutputSettings(export_name="photos-denoiser_2.0")


@pytest.mark.parametrize(
    ("group", "name", "value", "rule"),
    [
        (PatchSettings, "patch_size", 0, "at least 1"),
        (PatchSettings, "max_patches", 0, "at least 1"),
        (PatchSettings, "min_updates", -1, "at least 0"),
        (DataSettings, "validation_share", 0, r"in \(0, 1\)"),
        (DataSettings, "validation_share", 1, r"in \(0, 1\)"),
        (OptimizerSettings, "warmup_share", 1, r"in \[0, 1\)"),
        (OptimizerSettings, "weight_decay", -0.1, "at least 0"),
        (OptimizerSettings, "momentum", 1, r"in \[0, 1\)"),
        (OptimizerSettings, "clip_norm", -1, "at least 0"),
        (OptimizerSettings, "ema", 1, r"in \[0, 1\)"),
    ],
)
def test_settings_of_groups_are_checked(group, name, value, rule):
    message = f"^`{name}` must be {rule}. Received: {name}={value}$"
    with pytest.raises(ValueError, match=message):
        group(**{name: value})


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "-x"])
def test_names_of_exports_stay_in_their_folder(name):
    with pytest.raises(ValueError, match="`export_name` must be a plain name"):
        OutputSettings(export_name=name)
