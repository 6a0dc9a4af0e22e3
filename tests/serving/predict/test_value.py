"""Values are shown as numbers with their unit."""

import dataclasses

import numpy as np
import pytest

from modelyard.serving.predict.value import ValueAnswer, read


@pytest.mark.parametrize(
    ("value", "unit", "line"),
    [
        (float(np.float32(12.3)), "km/h", "x: 12.3 km/h"),
        (2_500_000.4, "$", "x: 2500000 $"),
        (-0.0000123, "", "x: -1.23e-05"),
        (0.0, "", "x: 0"),
        (float("nan"), "$", "x: nan $"),
    ],
)
def test_value_is_shown_with_its_unit(value, unit, line):
    assert ValueAnswer("x", value, unit).describe() == line


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_values_are_read_row_by_row(shape):
    outputs = {"price": np.array([1.5, -2.0], np.float32).reshape(shape)}
    answers = read("serving_default", None, outputs, ["a", "b"], unit="$")
    assert [dataclasses.asdict(answer) for answer in answers] == [
        {"input": "a", "value": 1.5, "unit": "$", "error": ""},
        {"input": "b", "value": -2.0, "unit": "$", "error": ""},
    ]


def test_value_is_found_among_other_outputs(load, saved_models):
    pixels = saved_models / "pixels.npy"
    answers = load("value_range", "value").predict([pixels])
    totals = np.load(pixels).sum(axis=1)
    assert [answer.value for answer in answers] == pytest.approx(totals.tolist())


@pytest.mark.parametrize(
    "outputs",
    [
        {"low": np.zeros(2, np.float32), "high": np.zeros(2, np.float32)},
        {"value": np.zeros((2, 2), np.float32)},
        {"value": np.zeros(3, np.float32)},
        {"value": np.zeros(2, np.int64)},
    ],
)
def test_other_outputs_are_refused(outputs):
    with pytest.raises(ValueError, match=r"must return float `value` \[n\] or"):
        read("serving_default", None, outputs, ["a", "b"])
