import base64
import io

import matplotlib.image
import numpy as np

from modelyard.reporting.figures import (
    confusion_colours,
    learning_curve_figure,
    picture_uri,
)


def decode(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    png = base64.b64decode(data)
    return matplotlib.image.imread(io.BytesIO(png))


def test_pictures_keep_their_pixels():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), np.uint8)
    grey = rng.integers(0, 256, (5, 7, 1), np.uint8)
    for image in (colour, grey):
        pixels = np.rint(decode(picture_uri(image))[..., :3] * 255)
        np.testing.assert_array_equal(pixels, np.broadcast_to(image, (5, 7, 3)))


def test_large_pictures_are_shrunk_by_averaging():
    image = np.zeros((100, 301, 1), np.uint8)
    image[::2] = 200
    pixels = decode(picture_uri(image))
    assert pixels.shape[:2] == (25, 75)
    np.testing.assert_allclose(pixels[..., 0] * 255, 100, atol=0.5)


def test_single_mistakes_are_seen_in_the_confusion_colours():
    colours = confusion_colours(np.array([[999, 1, 0], [0, 1000, 0], [0, 0, 0]]))
    assert colours[0, 1, 3] > 0.15
    assert colours[0, 2, 3] == 0
    assert colours[0, 1, 0] > colours[0, 1, 2]
    assert colours[0, 0, 2] > colours[0, 0, 0]
    assert np.isfinite(colours).all()


def test_learning_curve_names_its_lines_and_numbers_of_labels():
    lines = {
        "frozen backbone": [(100, 0.7), (1000, 0.8), (45833, 0.85)],
        "from scratch": [(100, 0.3), (1000, 0.5), (45833, 0.8)],
        "fine-tuned": [(45833, 0.95)],
    }
    text = learning_curve_figure(lines)
    for word in (*lines, ">100<", ">1,000<", ">45,833<", "test accuracy"):
        assert word in text
