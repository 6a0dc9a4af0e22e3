"""Classes are ranked and named."""

import dataclasses

import numpy as np
import pytest

from modelyard.serving.golden import GOLDEN_FILE, read_golden
from modelyard.serving.predict.classes import ClassAnswer, read

SCORES = np.array([[0.2, 0.5, 0.3]], np.float32)


def test_image_gets_the_answer_of_the_trained_model(load, saved_models, image):
    (answer,) = load("good", "classes").predict([image])
    golden = read_golden(saved_models / "good" / GOLDEN_FILE)
    scores = golden.requests["serve_bytes"][1]["scores"][0]
    best = int(np.argmax(scores))
    assert answer.input == str(image)
    assert answer.label == ["cat", "dog", "eel"][best]
    assert answer.score == pytest.approx(float(scores[best]), abs=1e-6)
    ranked = sorted(scores.tolist(), reverse=True)
    assert [score for _, score in answer.top] == pytest.approx(ranked, abs=1e-6)


def test_line_and_fields_of_an_answer():
    top = [("cat", 0.98), ("dog", 0.01), ("eel", 0.0075), ("fox", 0.0025)]
    answer = ClassAnswer("a.png", "cat", 0.98, top)
    assert answer.describe() == "a.png: cat 0.980 (dog 0.010, eel 0.007)"
    fields = ["input", "label", "score", "top", "error"]
    assert list(dataclasses.asdict(answer)) == fields


def test_five_best_classes_are_kept():
    scores = np.array([[0.1, 0.0, 0.3, 0.2, 0.25, 0.15]], np.float32)
    (answer,) = read("serving_default", None, {"scores": scores}, ["x"])
    assert [label for label, _ in answer.top] == ["2", "4", "3", "5", "0"]


@pytest.mark.parametrize(
    ("outputs", "class_names", "expected"),
    [
        ({"classes": np.array([[b"a", b"b", b"c"]], object)}, "xyz", "b"),
        ({}, "xyz", "y"),
        ({}, "xy", "1"),  # These names belong to other classes.
        ({}, "", "1"),
    ],
)
def test_classes_are_named_by_the_graph_or_the_description(
    outputs, class_names, expected
):
    outputs = {"scores": SCORES} | outputs
    (answer,) = read("s", None, outputs, ["x"], class_names=tuple(class_names))
    assert answer.label == expected


def test_classes_without_names_are_indices(load, saved_models):
    answers = load("doubled", "classes").predict([saved_models / "pixels.npy"])
    assert answers[0].label in {"0", "1", "2"}


def test_names_of_the_wrong_shape_are_refused():
    outputs = {"scores": SCORES, "classes": np.array([b"a", b"b", b"c"], object)}
    with pytest.raises(ValueError, match=r"string `classes` of the shape of `scores`"):
        read("serving_default", None, outputs, ["x"])
