import base64
import io

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from modelyard.evaluation.classification import reliability_bins
from modelyard.reporting.figures import (
    confusion_colours,
    confusion_figure,
    curve_figures,
    enlarged_uri,
    learning_curve_figure,
    overlay_uri,
    picture_uri,
    reliability_figure,
)


def _decode(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))


def _history(**columns):
    rows = len(next(iter(columns.values())))
    shared = {"epoch": range(1, rows + 1), "learning_rate": 0.1, "seconds": 1.0}
    return pd.DataFrame({**shared, **columns})


def test_pictures_keep_their_pixels():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), np.uint8)
    grey = rng.integers(0, 256, (5, 7, 1), np.uint8)
    for image in (colour, grey):
        pixels = np.rint(_decode(picture_uri(image)) * 255)
        np.testing.assert_array_equal(pixels, image.squeeze())


def test_large_pictures_are_shrunk_by_averaging():
    image = np.zeros((100, 301, 1), np.uint8)
    image[::2] = 200
    pixels = _decode(picture_uri(image))
    assert pixels.shape[:2] == (25, 76)
    np.testing.assert_allclose(pixels * 255, 100, atol=0.5)


@pytest.mark.parametrize(("side", "shown"), [(96, 96), (97, 49), (192, 96)])
def test_pictures_are_shrunk_to_fit(side, shown):
    image = np.zeros((side, side, 3), np.uint8)
    assert _decode(picture_uri(image)).shape == (shown, shown, 3)


def test_small_pictures_are_enlarged_pixel_by_pixel():
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2] = 255
    pixels = _decode(enlarged_uri(image))
    assert pixels.shape == (64, 96, 3)
    assert pixels[32:, 64:].min() == 1
    assert pixels.sum() == 32 * 32 * 3


def test_overlay_is_dark_where_the_heat_map_is_0_and_bright_where_it_is_1():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 6, 3)).astype("uint8")
    heat = np.zeros((8, 6))
    heat[:, 3:] = 1
    pixels = _decode(overlay_uri(image, heat))
    assert pixels.shape == (96, 72, 3)
    assert pixels[:, :36].mean() < 0.25
    assert pixels[:, 36:, :2].mean() > 0.6
    # The picture is still there, in grey.
    shades = np.kron(image.mean(-1), np.ones((12, 12)))
    assert np.corrcoef(shades[:, :36].ravel(), pixels[:, :36, 0].ravel())[0, 1] > 0.99


def test_overlay_of_a_grey_picture():
    pixels = _decode(overlay_uri(np.zeros((8, 6, 1), np.uint8), np.zeros((8, 6))))
    assert pixels.shape == (96, 72, 3)
    assert pixels.max() < 0.05


def test_single_mistakes_are_visible_in_the_confusion_colours():
    colours = confusion_colours(np.array([[999, 1, 0], [0, 1000, 0], [0, 0, 0]]))
    assert colours[0, 1, 3] > 0.15
    assert colours[0, 2, 3] == 0
    assert colours[0, 1, 0] > colours[0, 1, 2]
    assert colours[0, 0, 2] > colours[0, 0, 0]
    assert np.isfinite(colours).all()


def test_every_metric_of_the_history_has_a_drawing():
    history = _history(
        loss=[2.0, 1.0], val_loss=[2.0, 1.5], mean_absolute_error=[3.0, 2.0]
    )
    figures = curve_figures(history)
    assert list(figures) == ["Loss", "Mean absolute error", "Learning rate"]
    assert ">validation<" in figures["Loss"]
    assert ">validation<" not in figures["Mean absolute error"]
    assert ">epoch<" in figures["Learning rate"]


def test_accuracies_are_in_percent_and_other_metrics_are_not():
    figures = curve_figures(
        _history(loss=[0.2, 0.4], accuracy=[0.2, 0.4], top_5_accuracy=[0.2, 0.4])
    )
    assert "%<" in figures["Accuracy"]
    assert "%<" in figures["Top 5 accuracy"]
    assert "%<" not in figures["Loss"]
    assert ">0.2<" in figures["Loss"]


def test_losses_that_fall_far_are_on_a_log_scale():
    far = curve_figures(_history(loss=[2.0, 0.02]))["Loss"]
    near = curve_figures(_history(loss=[2.0, 1.0]))["Loss"]
    assert ">0.02<" in far
    assert ">0.1<" in far
    assert ">1.2<" in near


@pytest.mark.parametrize("loss", [[np.nan, np.nan], [-1.0, 5.0], [0.0, 0.0], [0.5]])
def test_any_losses_can_be_drawn(loss):
    assert "<svg" in curve_figures(_history(loss=loss))["Loss"]


def test_learning_curve_names_its_lines_and_numbers_of_labels():
    lines = {
        "frozen backbone": [(100, 0.7), (1000, 0.8), (45833, 0.85)],
        "from scratch": [(100, 0.3), (1000, 0.5), (45833, 0.8)],
        "fine-tuned": [(45833, 0.95)],
    }
    text = learning_curve_figure(lines)
    for word in (*lines, ">100<", ">1,000<", ">45,833<", "test accuracy"):
        assert word in text


def test_drawings_have_the_colours_of_the_page_and_fit_its_width():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    svg = reliability_figure(reliability_bins(scores, np.array([0, 1])))
    for name in ("--muted", "--line", "--first", "--second"):
        assert f"var({name})" in svg
    assert "#0" not in svg
    head = svg[: svg.index(">")]
    assert "viewBox" in head
    assert " width=" not in head
    assert "<style" not in svg
    assert "font-family" not in svg


def test_drawing_leaves_matplotlibs_settings_alone():
    with mpl.rc_context({"font.size": 33, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        svg = confusion_figure(np.eye(3, dtype=int))
        assert dict(mpl.rcParams) == before
    assert svg == confusion_figure(np.eye(3, dtype=int))
