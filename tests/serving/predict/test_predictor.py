"""Inputs reach the right signature, and only a known kind of answer is shown."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from modelyard.serving.description import (
    DESCRIPTION_FILE,
    ExportDescription,
    write_description,
)
from modelyard.serving.predict.predictor import SHOWN_KINDS, load_predictor


@pytest.fixture
def predictor(load):
    return load("good", "classes")


@pytest.fixture
def text_predictor(load):
    return load("texts", "classes")


@pytest.fixture
def described(saved_models, tmp_path):
    """Copies a SavedModel and adds a description."""

    def copy(name, *args, **kwargs):
        directory = tmp_path / name
        shutil.copytree(saved_models / name, directory)
        description = ExportDescription("some-task", *args, **kwargs)
        write_description(directory / DESCRIPTION_FILE, description)
        return directory

    return copy


def test_bad_files_are_named_and_the_others_answered(predictor, image, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    missing = tmp_path / "missing.png"
    answers = predictor.predict([image, text, str(missing), *[image] * 40])
    assert len(answers) == 43
    assert [bool(answer.error) for answer in answers[:4]] == [False, True, True, False]
    assert str(text) in answers[1].error
    assert answers[2].error == f"{missing}: No such file or directory"
    assert answers[2].describe() == answers[2].error
    assert answers[0] == answers[42]


def test_array_rows_go_to_serving_default(predictor, saved_models, tmp_path):
    batch = saved_models / "pixels.npy"
    single = tmp_path / "single.npy"
    np.save(single, np.load(batch)[1])
    answers = predictor.predict([batch, bytes(single)])
    assert [a.input for a in answers] == [f"{batch}[0]", f"{batch}[1]", f"{single}[0]"]
    assert dict(answers[1].top) == pytest.approx(dict(answers[2].top))
    assert not any(answer.error for answer in answers)


def test_images_and_arrays_keep_their_order(predictor, saved_models, image):
    batch = saved_models / "pixels.npy"
    answers = predictor.predict([image, batch, image])
    rows = [f"{batch}[0]", f"{batch}[1]"]
    assert [a.input for a in answers] == [str(image), *rows, str(image)]


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
def test_wrong_array_is_told_what_the_export_takes(predictor, tmp_path, array):
    path = tmp_path / "bad.npy"
    np.save(path, array)
    (answer,) = predictor.predict([path])
    assert answer.label is None
    assert "bad.npy: the array must be float32 [n, 12]. Received" in answer.error


def test_pickled_array_is_never_read(predictor, tmp_path):
    path = tmp_path / "bad.npy"
    np.save(path, np.array([{}], object))
    (answer,) = predictor.predict([path])
    assert "allow_pickle" in answer.error


def test_export_without_image_signature_says_what_it_takes(load, image):
    (answer,) = load("doubled", "classes").predict([image])
    assert "it takes .npy arrays of `pixels`: float32 [n, 12]" in answer.error


def test_newest_version_is_loaded(saved_models, image, tmp_path):
    shutil.copytree(saved_models / "doubled", tmp_path / "2")
    shutil.copytree(saved_models / "good", tmp_path / "10")
    with load_predictor(tmp_path, "classes") as predictor:
        (answer,) = predictor.predict([image])
    assert answer.label in {"cat", "dog", "eel"}


def test_directory_without_export_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`export_dir` .*export_dir="):
        load_predictor(tmp_path)


def test_texts_are_answered_in_their_order(text_predictor):
    # More than one batch, and batches are made by length.
    texts = ["eel " * 50, "cat", "dog " * 3, b"\xff\xfe no UTF-8", ""] * 20
    answers = text_predictor.predict(texts)
    assert len(answers) == 100
    assert [answer.label for answer in answers[:3]] == ["eel", "cat", "dog"]
    assert answers[0].input == "eel " * 50
    assert answers[3].input == "\ufffd\ufffd no UTF-8"
    assert answers[0].score == pytest.approx(np.e / (np.e + 2), abs=1e-6)
    assert answers[:5] * 20 == answers
    assert not any(answer.error for answer in answers)


def test_rejected_text_does_not_affect_the_others(text_predictor):
    answers = text_predictor.predict(["cat", "refuse", "dog"])
    assert [answer.label for answer in answers] == ["cat", None, "dog"]
    assert answers[1].input == "refuse"
    assert answers[1].error.startswith("INVALID_ARGUMENT")
    assert "\n\t" not in answers[1].error


def test_undecodable_bytes_of_a_command_line_reach_the_graph(text_predictor):
    # The second has never been bytes.
    for text, seen in (("d\udcff", "d\ufffd"), ("d\ud800", "d?")):
        (answer,) = text_predictor.predict([text])
        assert (answer.label, answer.input) == ("dog", seen)


def test_no_inputs_get_no_answers(predictor, text_predictor):
    assert text_predictor.predict([]) == []
    assert predictor.predict([]) == []


def test_description_decides_how_inputs_are_read(described):
    with load_predictor(described("good", "classes", "texts")) as predictor:
        assert predictor.takes_texts
        (answer,) = predictor.predict(["cat"])
    assert answer.error == (
        "This export has no signature `serving_default` for texts; it takes "
        "`pixels`: float32 [n, 12]."
    )


def test_without_description_the_signature_decides(predictor, text_predictor):
    assert not predictor.takes_texts
    assert text_predictor.takes_texts


def test_unknown_kind_is_not_guessed(saved_models):
    directory = saved_models / "value"
    with pytest.raises(ValueError, match=r"no assets.extra/export.json") as caught:
        load_predictor(directory)
    assert str(directory) in str(caught.value)
    assert "`--kind classes`), one of classes, value," in str(caught.value)


def test_regression_is_shown_once_its_kind_is_given(saved_models, described):
    pixels = saved_models / "pixels.npy"
    total = f"{2 * np.load(pixels)[1].sum():.6g}"
    with load_predictor(saved_models / "value", kind="value") as predictor:
        lines = [answer.describe() for answer in predictor.predict([pixels])]
    assert lines[1] == f"{pixels}[1]: {total}"
    # What the export records besides its kind is used as well.
    directory = described("value", "value", "arrays", unit="$")
    with load_predictor(directory, kind="value") as predictor:
        lines = [answer.describe() for answer in predictor.predict([pixels])]
    assert lines[1] == f"{pixels}[1]: {total} $"


def test_kind_that_contradicts_the_record_is_refused(described):
    directory = described("value", "value", "arrays")
    with pytest.raises(ValueError, match=r"left out or `value`.*kind='classes'"):
        load_predictor(directory, kind="classes")


def test_recorded_kind_is_used(described, saved_models):
    directory = described("value", "value", "arrays", unit="EUR")
    with load_predictor(directory) as predictor:
        assert predictor.kind == "value"
        answers = predictor.predict([saved_models / "pixels.npy"])
    assert [answer.unit for answer in answers] == ["EUR", "EUR"]


@pytest.mark.parametrize("kind", ["boxes", "items", "strokes"])
def test_kind_that_cannot_be_shown_is_refused(described, kind):
    directory = described("value", kind, "images")
    with pytest.raises(ValueError, match=f"kind `{kind}`, .* cannot show") as caught:
        load_predictor(directory)
    assert str(directory) in str(caught.value)
    assert "It shows classes, value, image, text, codes" in str(caught.value)


def test_damaged_description_is_named(described):
    directory = described("value", "value", "arrays")
    (directory / DESCRIPTION_FILE).write_text("{")
    with pytest.raises(ValueError, match=r"export\.json is not valid JSON"):
        load_predictor(directory)


@pytest.mark.parametrize("kind", ["class", "boxes"])
def test_wrong_kind_argument_is_refused(saved_models, kind):
    with pytest.raises(ValueError, match=f"`kind` must be .* kind='{kind}'"):
        load_predictor(saved_models / "good", kind)


_WRONG_OUTPUTS = {
    "classes": ("value", "float `scores` [n, k] for two or more classes"),
    "value": ("good", "float `value` [n] or [n, 1]"),
    "image": ("good", "PNG files as strings [n] in one output whose name ends in"),
    "text": ("good", "string `text` [n]"),
    "codes": ("good", "numbers `codes` [n, d]"),
}


@pytest.mark.parametrize("kind", SHOWN_KINDS)
def test_outputs_of_another_kind_are_not_shown(load, saved_models, kind):
    name, rule = _WRONG_OUTPUTS[kind]
    pixels = saved_models / "pixels.npy"
    (answer,) = load(name, kind).predict([pixels])
    start = f"{pixels}: `serving_default` must return {rule}"
    assert answer.error.startswith(start)
    assert "Received: pixels: float32 [n, 12] ->" in answer.error
    assert json.loads(json.dumps(dataclasses.asdict(answer)))["error"] == answer.error
