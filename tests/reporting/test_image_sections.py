import numpy as np
import pytest

from modelyard.reporting.figures import picture_uri
from modelyard.reporting.image_sections import classified_picture, sample_and_mistakes


def _sections(results):
    return sample_and_mistakes(
        results.images, results.scores, results.labels, results.class_names
    )


def test_mistakes_are_framed_and_name_the_true_class_first():
    right = classified_picture({"a": "data:,"}, "cat", "cat", 0.7512)
    assert (right.caption, right.note, right.is_wrong) == ("cat", "75.1%", False)
    wrong = classified_picture({"a": "data:,"}, "cat", "dog", 0.5)
    assert (wrong.caption, wrong.note, wrong.is_wrong) == ("cat → dog", "50.0%", True)


def test_sample_is_evenly_spaced_and_includes_both_ends(make_results):
    results = make_results(num_classes=20)
    sample, _ = _sections(results)
    assert len(sample.pictures) == 30
    alts = [next(iter(picture.uris)) for picture in sample.pictures]
    indices = [int(alt.removeprefix("test image ")) for alt in alts]
    assert indices[0] == 0
    assert indices[-1] == 79
    assert set(np.diff(indices)) == {2, 3}
    assert sample.pictures[1].uris[alts[1]] == picture_uri(results.images[indices[1]])
    assert sample.pictures[1].caption == "class2 → class3"


def test_small_test_splits_are_shown_whole(make_results):
    sample, _ = _sections(make_results(num_classes=3))
    assert len(sample.pictures) == 12


@pytest.mark.parametrize(
    ("num_errors", "shown", "words"),
    [
        (0, 0, "None: all 40 test images are classified correctly."),
        (1, 1, "The only mistake: true class → prediction, and its score."),
        (3, 3, "All 3 mistakes, most confident first: "),
        (25, 25, "All 25 mistakes, most confident first: "),
        (26, 25, "The 25 most confident of 26 mistakes: "),
    ],
)
def test_note_says_how_many_mistakes_are_shown(make_results, num_errors, shown, words):
    _, mistakes = _sections(make_results(num_errors=num_errors))
    assert mistakes.note.startswith(words)
    assert len(mistakes.pictures) == shown
    assert all(picture.is_wrong for picture in mistakes.pictures)


@pytest.mark.parametrize(("side", "is_small"), [(48, True), (49, False)])
def test_small_images_are_enlarged_as_squares(make_results, side, is_small):
    images = np.zeros((40, 8, side, 1), np.uint8)
    sample, _ = _sections(make_results(images=images))
    assert {picture.is_small for picture in sample.pictures} == {is_small}
