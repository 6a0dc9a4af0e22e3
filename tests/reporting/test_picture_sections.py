import base64
import io

import numpy as np
import PIL.Image
import pytest

from modelyard.reporting.page import Page, render_page
from modelyard.reporting.picture_sections import (
    Triplet,
    level_figure,
    triplet_section,
)
from modelyard.reporting.sections import Card

_LINES = {
    "network": [(15, 32.1), (25, 29.8), (50, 26.7)],
    "BM3D": [(50, 25.6), (15, 31.1), (25, 28.6)],
}


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def _shown(picture):
    """Decodes the pictures that a page shows."""
    files = {
        label: base64.b64decode(uri.removeprefix("data:image/png;base64,"))
        for label, uri in picture.uris.items()
    }
    return {
        label: np.array(PIL.Image.open(io.BytesIO(file)))
        for label, file in files.items()
    }


def test_pictures_stand_side_by_side_under_their_figure():
    triplets = [
        Triplet({"noisy": _noise(8, 9, 1), "original": _noise(8, 9, 1)}, "a", "31.2 dB")
    ]
    section = triplet_section("Examples", "From the test split.", triplets)
    assert section.title == "Examples"
    assert section.note == "From the test split. From left to right: noisy, original."
    (picture,) = section.pictures
    assert (picture.caption, picture.note) == ("a", "31.2 dB")
    assert list(picture.uris) == ["noisy", "original"]


def test_small_pictures_are_enlarged_as_squares():
    original = _noise(20, 32, 3)
    (picture,) = triplet_section("", "", [Triplet({"original": original})]).pictures
    assert picture.is_small
    expected = original.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(_shown(picture)["original"], expected)


@pytest.mark.parametrize("size", [(192, 100), (49, 96)])
def test_pictures_of_middle_size_are_shown_as_they_are(size):
    original = _noise(*size, 3)
    (picture,) = triplet_section("", "", [Triplet({"original": original})]).pictures
    assert not picture.is_small
    np.testing.assert_array_equal(_shown(picture)["original"], original)


def test_large_pictures_are_cropped_at_the_same_detailed_place():
    truth = np.full((240, 400, 3), 90, np.uint8)
    truth[80:208, 160:288] = _noise(128, 128, 3)
    grey = truth[..., :1]
    (picture,) = triplet_section(
        "", "", [Triplet({"grey": grey, "original": truth})]
    ).pictures
    shown = _shown(picture)
    np.testing.assert_array_equal(shown["original"], truth[80:208, 160:288])
    np.testing.assert_array_equal(shown["grey"], grey[80:208, 160:288, 0])


def test_side_below_the_crop_is_shown_whole():
    (picture,) = triplet_section(
        "", "", [Triplet({"original": _noise(40, 300, 1)})]
    ).pictures
    assert _shown(picture)["original"].shape == (40, 128)


@pytest.mark.parametrize("size", [(60, 80), (121, 161)])
def test_smaller_inputs_are_enlarged_to_the_truth(size):
    small = _noise(-(-size[0] // 4), -(-size[1] // 4), 3)
    truth = np.zeros((*size, 3), np.uint8)
    (picture,) = triplet_section(
        "", "", [Triplet({"small": small, "original": truth})]
    ).pictures
    shown = _shown(picture)["small"]
    assert shown.shape == truth.shape
    np.testing.assert_array_equal(shown[0, 0], small[0, 0])
    np.testing.assert_array_equal(shown[-1, -1], small[-1, -1])
    assert {tuple(pixel) for pixel in shown.reshape(-1, 3)} == {
        tuple(pixel) for pixel in small.reshape(-1, 3)
    }


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ({}, "must not be empty"),
        ({"a": np.zeros((4, 4), np.uint8)}, r"Received: a is uint8 \(4, 4\)"),
        ({"a": np.zeros((4, 4, 3), "float32")}, r"Received: a is float32"),
        ({"a": np.zeros((4, 0, 3), np.uint8)}, r"Received: a is uint8 \(4, 0, 3\)"),
    ],
)
def test_bad_pictures_are_named(pictures, message):
    with pytest.raises(ValueError, match=message):
        triplet_section("", "", [Triplet(pictures)])


def test_page_shows_triplets():
    section = triplet_section(
        "Examples",
        "",
        [Triplet({"noisy": _noise(8, 8, 1), "original": _noise(8, 8, 1)})],
    )
    page = Page(
        title="Pictures",
        subtitle="",
        headline=Card("PSNR", "31.2 dB"),
        cards=[],
        sections=[section],
    )
    text = render_page(page)
    for label, uri in section.pictures[0].uris.items():
        assert f'<img src="{uri}" alt="{label}"' in text
    assert "From left to right: noisy, original." in text


def test_figure_names_methods_levels_and_axes():
    svg = level_figure(_LINES, "noise level", "PSNR (dB)", name="grey-levels")
    assert 'aria-label="grey-levels"' in svg
    for text in ("network", "BM3D", "noise level", "PSNR (dB)", "15", "25", "50"):
        assert f">{text}</text>" in svg
    assert "var(--first)" in svg
    assert "var(--second)" in svg


def test_four_lines_differ():
    lines = {f"method {i}": [(1, i), (2, i + 1)] for i in range(4)}
    svg = level_figure(lines, "x", "y")
    assert "stroke-dasharray" in svg
    assert all(f"method {i}" in svg for i in range(4))


def test_dollar_signs_are_no_mathematics():
    svg = level_figure({"a$b$": [(1, 2)]}, "$x$", "y")
    assert "a$b$" in svg
    assert "$x$" in svg


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({}, r"`lines` must hold 1 to 4 methods. Received: 0"),
        ({str(i): [(1, 2)] for i in range(5)}, "Received: 5"),
        ({"network": []}, "Received: none for network"),
    ],
)
def test_bad_lines_are_named(lines, message):
    with pytest.raises(ValueError, match=message):
        level_figure(lines, "x", "y")
