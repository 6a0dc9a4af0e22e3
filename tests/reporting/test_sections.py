import base64
import io

import matplotlib.image
import numpy as np

from modelyard.reporting.sections import (
    choose_to_explain,
    enlarged_uri,
    overlay_uri,
)


def _decode(uri):
    encoded = uri.removeprefix("data:image/png;base64,")
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(encoded)))[..., :3]


def _scores(predictions, confidences):
    scores = np.tile((1 - np.array(confidences))[:, None] / 2, (1, 3))
    scores[np.arange(len(predictions)), predictions] = confidences
    return scores


def test_right_predictions_of_every_class_come_before_the_surest_mistakes():
    labels = np.array([0, 0, 1, 0, 2, 1, 1])
    predictions = [0, 0, 1, 1, 2, 2, 0]
    scores = _scores(predictions, [0.5, 0.9, 0.6, 0.7, 0.8, 0.95, 0.6])
    chosen = choose_to_explain(scores, labels, right=3, wrong=2)
    assert chosen.tolist() == [0, 2, 4, 5, 3]
    assert choose_to_explain(scores, labels, right=9, wrong=9).tolist() == [
        *(0, 2, 4, 1),
        *(5, 3, 6),
    ]


def test_nothing_right_or_nothing_wrong_is_no_problem():
    labels = np.array([0, 1])
    scores = _scores([0, 1], [0.9, 0.9])
    assert choose_to_explain(scores, labels, right=2, wrong=2).tolist() == [0, 1]
    assert choose_to_explain(scores, 1 - labels, right=2, wrong=1).tolist() == [0]


def test_overlay_is_dark_where_nothing_counts_and_bright_where_much_does():
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


def test_small_pictures_are_enlarged_pixel_by_pixel():
    image = np.zeros((2, 3, 1), np.uint8)
    image[1, 2] = 255
    pixels = _decode(enlarged_uri(image))
    assert pixels.shape == (64, 96, 3)
    assert pixels[32:, 64:].min() == 1
    assert pixels.sum() == 32 * 32 * 3
