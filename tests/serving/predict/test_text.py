"""Texts are shown on one line and kept as they are."""

import dataclasses

import numpy as np
import pytest

from modelyard.serving.predict.text import TextAnswer, read


def test_text_is_answered_with_text(load):
    first, second = load("shout", "text").predict(["a cat", "dog"])
    assert first == TextAnswer("a cat", "A CAT")
    assert second.describe() == "dog: DOG"


def test_text_of_several_lines_is_shown_on_one():
    (answer,) = read("s", None, {"text": np.array([b"a\n b"], object)}, ["x"])
    assert answer.describe() == "x: a b"
    assert dataclasses.asdict(answer) == {"input": "x", "text": "a\n b", "error": ""}


@pytest.mark.parametrize(
    "output", [np.array([[b"a"]], object), np.zeros(1, np.float32)]
)
def test_other_outputs_are_refused(output):
    with pytest.raises(ValueError, match=r"must return string `text` \[n\]"):
        read("serving_default", None, {"text": output}, ["x"])
