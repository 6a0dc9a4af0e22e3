import pytest

from modelyard.reporting.formats import (
    flatten,
    metric_text,
    percent,
    quantity,
    split_name,
)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.25, "evaluate_seconds", "250 ms"),
        (3725.0, "train_seconds", "1 h 2 min"),
        (59.7, "train_seconds", "59.7 s"),
        (12345.6, "examples_per_second", "12,346"),
        (0.0123, "input_wait_share", "1.2%"),
        (1e-4, "learning_rate", "0.0001"),
        (True, "xla", "True"),
        (None, "resume", "none"),
        ((32, 64), "widths", "32, 64"),
        (2010, "year", "2010"),
        (60000, "num_examples", "60,000"),
    ],
)
def test_values_are_formatted_for_people(value, name, text):
    assert quantity(value, name) == text


def test_nested_settings_become_dotted_rows():
    nested = {"a": {"b": {"c_seconds": 2.0}}, "d": []}
    assert flatten(nested) == {"a.b.c_seconds": "2 s", "d": "none"}


def test_negative_differences_have_a_minus_sign():
    assert percent(-0.0123) == "\N{MINUS SIGN}1.23%"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("probe_accuracy", 0.98765, "98.77%"),
        ("error_rate", 0.0123, "1.23%"),
        ("explained_variance", -0.5, "\N{MINUS SIGN}50.00%"),
        ("psnr", 31.456, "31.46 dB"),
        ("mean_absolute_error", 12345.678, "1.235e+04"),
        ("log_loss", 0.123456, "0.1235"),
        ("colorfulness_ratio", 0.5, "50.00%"),
        ("accuracy_2pct", 0.25, "25.00%"),
    ],
)
def test_metrics_have_the_unit_that_their_name_implies(name, value, text):
    assert metric_text(name, value) == text


def test_splits_have_names_for_people():
    assert split_name("test_tta") == "Test, test-time augmentation"
    assert split_name("Test, frozen") == "Test, frozen"
