"""Files are predicted straight from an export."""

import shutil

import numpy as np
import pytest

from modelyard.serving.golden import GOLDEN_FILE, read_golden
from modelyard.serving.predict.predictor import (
    load_predictor,
    predict_files,
    predict_texts,
)


@pytest.fixture(scope="module")
def predictor(saved_models):
    with load_predictor(saved_models / "good") as loaded:
        yield loaded


def test_image_gets_the_trained_models_answer(predictor, saved_models):
    (prediction,) = predictor.predict_files([saved_models / "image.png"])
    golden = read_golden(saved_models / "good" / GOLDEN_FILE)
    scores = golden.requests["serve_bytes"][1]["scores"][0]
    best = int(np.argmax(scores))
    assert prediction.input == str(saved_models / "image.png")
    assert prediction.label == ["cat", "dog", "eel"][best]
    assert prediction.score == pytest.approx(float(scores[best]), abs=1e-6)
    ranked = sorted(scores.tolist(), reverse=True)
    assert [score for _, score in prediction.top] == pytest.approx(ranked, abs=1e-6)


def test_bad_files_are_named_and_the_others_answered(predictor, saved_models, tmp_path):
    good = saved_models / "image.png"
    text = tmp_path / "text.png"
    text.write_text("no image")
    missing = tmp_path / "missing.png"
    answers = predictor.predict_files([good, text, missing, *[good] * 40])
    assert len(answers) == 43
    assert [bool(answer.error) for answer in answers[:4]] == [False, True, True, False]
    assert str(text) in answers[1].error
    assert answers[2].error == f"{missing}: No such file or directory"
    assert answers[0] == answers[42]


def test_array_rows_go_to_serving_default(predictor, saved_models, tmp_path):
    batch = saved_models / "pixels.npy"
    single = tmp_path / "single.npy"
    np.save(single, np.load(batch)[1])
    answers = predictor.predict_files([batch, single])
    assert [a.input for a in answers] == [f"{batch}[0]", f"{batch}[1]", f"{single}[0]"]
    assert dict(answers[1].top) == pytest.approx(dict(answers[2].top))
    assert not any(answer.error for answer in answers)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 13)),
        np.zeros((2, 12), complex),
        np.zeros(()),
        np.zeros((0, 12)),
        np.array(["text"]),
    ],
)
def test_unfit_array_is_told_what_is_taken(predictor, tmp_path, array):
    path = tmp_path / "bad.npy"
    np.save(path, array)
    (answer,) = predictor.predict_files([path])
    assert answer.label is None
    assert "bad.npy: the array must be float32 [n, 12]. Received" in answer.error


def test_export_without_image_signature_says_what_it_takes(saved_models):
    image = saved_models / "image.png"
    (answer,) = predict_files(saved_models / "doubled", [image])
    assert "it takes .npy arrays of `pixels`: float32 [n, 12]" in answer.error


def test_classes_without_names_are_indices(saved_models):
    (first, _) = predict_files(saved_models / "doubled", [saved_models / "pixels.npy"])
    assert first.label in {"0", "1", "2"}


def test_newest_version_is_loaded(saved_models, tmp_path):
    shutil.copytree(saved_models / "doubled", tmp_path / "2")
    shutil.copytree(saved_models / "good", tmp_path / "10")
    (answer,) = predict_files(tmp_path, [saved_models / "image.png"])
    assert answer.label in {"cat", "dog", "eel"}


def test_directory_without_export_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`export_dir` .*export_dir="):
        load_predictor(tmp_path)


@pytest.fixture(scope="module")
def text_predictor(saved_models):
    with load_predictor(saved_models / "texts") as loaded:
        yield loaded


def test_texts_are_answered_in_their_order(text_predictor):
    # More than a batch, so that lengths decide which go together.
    texts = ["eel " * 50, "cat", "dog " * 3, b"\xff\xfe no UTF-8", ""] * 20
    answers = text_predictor.predict_texts(texts)
    assert len(answers) == 100
    assert [answer.label for answer in answers[:3]] == ["eel", "cat", "dog"]
    assert answers[0].input == "eel " * 50
    assert answers[3].input == "\ufffd\ufffd no UTF-8"
    assert answers[0].score == pytest.approx(np.e / (np.e + 2), abs=1e-6)
    assert answers[:5] * 20 == answers
    assert not any(answer.error for answer in answers)


def test_refused_text_does_not_keep_the_others_from_answers(text_predictor):
    answers = text_predictor.predict_texts(["cat", "refuse", "dog"])
    assert [answer.label for answer in answers] == ["cat", None, "dog"]
    assert answers[1].input == "refuse"
    assert answers[1].error.startswith("INVALID_ARGUMENT")
    assert "\n\t" not in answers[1].error


def test_undecodable_bytes_of_a_command_line_reach_the_graph(text_predictor):
    # The second has never been bytes.
    for text, seen in (("d\udcff", "d\ufffd"), ("d\ud800", "d?")):
        (answer,) = text_predictor.predict_texts([text])
        assert (answer.label, answer.input) == ("dog", seen)


def test_no_texts_get_no_answers(text_predictor):
    assert text_predictor.predict_texts([]) == []


def test_export_of_arrays_says_that_it_takes_no_texts(predictor, text_predictor):
    (answer,) = predictor.predict_texts(["cat"])
    assert answer.label is None
    expected = "This export takes no texts; it takes `pixels`: float32 [n, 12]."
    assert answer.error == expected
    assert not predictor.takes_texts
    assert text_predictor.takes_texts


def test_texts_are_predicted_by_the_newest_version(saved_models, tmp_path):
    shutil.copytree(saved_models / "texts", tmp_path / "3")
    (answer,) = predict_texts(tmp_path, ["eel"])
    assert answer.label == "eel"
