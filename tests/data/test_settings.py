import dataclasses

import pytest

from modelyard.data.settings import (
    check_settings,
    flatten_settings,
    group,
    make_config,
    replace_settings,
    setting,
)


@dataclasses.dataclass(frozen=True)
class Optimizer:
    rate: float = setting(0.1, "Learning rate.")
    steps: tuple[int, ...] = setting((1, 2), "Steps of the schedule.")

    def __post_init__(self):
        check_settings(self, [("rate", self.rate > 0, "above 0")])


@dataclasses.dataclass(frozen=True)
class Config:
    epochs: int = setting(3, "Passes over the data.")
    optimizer: Optimizer = group(Optimizer)
    seed: int = setting(0, "Seed of everything random.")

    def __post_init__(self):
        check_settings(
            self,
            [
                ("epochs", self.epochs >= 1, "at least 1"),
                ("seed", self.seed >= 0, "at least 0"),
            ],
        )


def test_setting_has_a_default_and_a_help_text():
    field = dataclasses.fields(Config)[0]
    assert Config().epochs == 3
    assert field.metadata["help"] == "Passes over the data."


def test_flat_settings_include_those_of_groups_in_order():
    flat = flatten_settings(Config(epochs=5))
    assert list(flat.items()) == [
        ("epochs", 5),
        ("rate", 0.1),
        ("steps", (1, 2)),
        ("seed", 0),
    ]


def test_config_is_made_of_flat_settings_and_defaults():
    made = make_config(Config, {"seed": 7, "rate": 0.5})
    assert made == Config(seed=7, optimizer=Optimizer(rate=0.5))
    assert make_config(Config, {}) == Config()


def test_config_survives_flattening():
    config = Config(epochs=9, optimizer=Optimizer(steps=(4,)))
    assert make_config(Config, flatten_settings(config)) == config


def test_lists_become_tuples():
    assert make_config(Config, {"steps": [3, 4]}).optimizer.steps == (3, 4)


@pytest.mark.parametrize("source", ["config.json", ""])
def test_unknown_setting_gets_a_suggestion_and_names_its_source(source):
    with pytest.raises(ValueError, match="must be one of") as caught:
        make_config(Config, {"epoch": 5}, source=source)
    what = "setting in config.json" if source else "setting"
    assert str(caught.value) == (
        f"`{what}` must be one of epochs, rate, steps, seed. "
        f"Received: {what}='epoch'. Did you mean epochs?"
    )


def test_name_of_a_group_is_no_setting():
    with pytest.raises(ValueError, match=r"one of epochs, rate.*='optimizer'"):
        make_config(Config, {"optimizer": Optimizer()})


def test_replacing_reaches_into_groups_and_keeps_the_rest():
    config = Config(epochs=4, optimizer=Optimizer(steps=(9,)))
    replaced = replace_settings(config, {"rate": 2.0, "seed": 1})
    assert replaced == Config(4, Optimizer(2.0, (9,)), 1)
    assert config == Config(epochs=4, optimizer=Optimizer(steps=(9,)))


def test_checks_of_a_group_and_of_the_config_run():
    with pytest.raises(ValueError, match=r"`rate` must be above 0.*rate=-1\.0"):
        make_config(Config, {"rate": -1.0})
    with pytest.raises(ValueError, match=r"`epochs` must be at least 1.*epochs=0"):
        replace_settings(Config(), {"epochs": 0})


def test_first_broken_rule_is_named_with_the_value():
    rules = [
        ("epochs", True, "at least 1"),
        ("seed", False, "below 2**31"),
        ("epochs", False, "even"),
    ]
    with pytest.raises(ValueError, match="must be") as caught:
        check_settings(Config(seed=5), rules)
    assert str(caught.value) == "`seed` must be below 2**31. Received: seed=5"
    check_settings(Config(), rules[:1])
