"""Codes come from `encode` or `serve_bytes`, and the first are shown."""

import dataclasses
import json

import numpy as np
import pytest

from modelyard.serving.predict.codes import CodesAnswer, read


def test_files_and_arrays_get_the_same_codes(load, image, images):
    # `serving_default` of this export returns reconstructions.
    from_file, _, from_array = load("codes", "codes").predict([image, images])
    expected = (np.load(images)[1] / 255).ravel()[:7]
    np.testing.assert_allclose(from_array.codes, expected, rtol=1e-6)
    np.testing.assert_allclose(from_file.codes, expected, rtol=1e-6)
    assert json.loads(json.dumps(dataclasses.asdict(from_file)))["codes"] == (
        from_file.codes
    )


def test_first_numbers_are_shown():
    answer = CodesAnswer("x", [0.123456, -1.3, 0.0, 1e-9, 12.0, 7.0])
    assert answer.describe() == "x: 6 numbers: 0.123, -1.3, 0, 1e-09, 12, ..."
    assert CodesAnswer("x", [1.0, 2.0]).describe() == "x: 2 numbers: 1, 2"


def test_integers_are_codes_too():
    (answer,) = read("encode", None, {"tokens": np.array([[3, 1]])}, ["x"])
    assert answer == CodesAnswer("x", [3, 1])


@pytest.mark.parametrize(
    "output",
    [np.zeros(2, np.float32), np.zeros((1, 2, 2)), np.array([[b"a"]], object)],
)
def test_other_outputs_are_refused(output):
    with pytest.raises(ValueError, match=r"must return numbers `codes` \[n, d\]"):
        read("encode", None, {"codes": output}, ["x"])
