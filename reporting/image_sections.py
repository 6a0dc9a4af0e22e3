"""Sections about classified images."""

from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.evaluation.classification import most_confident_mistakes
from modelyard.reporting.figures import picture_uri
from modelyard.reporting.formats import percent
from modelyard.reporting.sections import Picture, Section

_NUM_SAMPLES = 30
_NUM_MISTAKES = 25
_SMALL_SIDE = 48  # Pixels.


def classified_picture(
    uris: Mapping[str, str],
    true: str,
    predicted: str,
    score: float,
    *,
    is_small: bool = False,
) -> Picture:
    """Returns a picture with its prediction; mistakes name the true class first.

    Args:
        uris: As for `Picture`.
        true: Name of the true class.
        predicted: Name of the predicted class.
        score: Score of the predicted class, in [0, 1].
        is_small: Whether pixels are enlarged as squares.
    """
    is_wrong = true != predicted
    return Picture(
        uris,
        caption=f"{true} → {predicted}" if is_wrong else predicted,
        note=percent(score, 1),
        is_wrong=is_wrong,
        is_small=is_small,
    )


def sample_and_mistakes(
    images: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> list[Section]:
    """Shows a sample of the test images, and the most confident mistakes.

    Args:
        images: Test images, uint8 `(n, height, width, channels)` with 1 or 3 channels.
        scores: Their probabilities, floating `(n, k)`.
        labels: Their true classes, integer `(n,)`.
        class_names: The `k` names of the classes.
    """
    is_small = max(images.shape[1:3]) <= _SMALL_SIDE

    def draw(indices: np.ndarray) -> list[Picture]:
        return [
            classified_picture(
                {f"test image {i}": picture_uri(images[i])},
                class_names[labels[i]],
                class_names[scores[i].argmax()],
                float(scores[i].max()),
                is_small=is_small,
            )
            for i in indices
        ]

    count = len(images)
    sample = np.linspace(0, count - 1, min(_NUM_SAMPLES, count), dtype=int)
    mistakes = most_confident_mistakes(scores, labels, count=_NUM_MISTAKES)
    num_errors = int(np.sum(scores.argmax(axis=1) != labels))
    return [
        Section(
            title="Sample of the test images",
            note=(
                "Evenly spaced through the test split, with prediction and score. "
                "Mistakes have a red frame and name the true class first."
            ),
            pictures=draw(sample),
        ),
        Section(
            title="Most confident mistakes",
            note=_describe_mistakes(len(mistakes), num_errors, count),
            pictures=draw(mistakes),
        ),
    ]


def _describe_mistakes(shown: int, num_errors: int, count: int) -> str:
    """A sentence on which mistakes are shown."""
    if num_errors == 0:
        return f"None: all {count:,} test images are classified correctly."
    words = f"All {num_errors} mistakes, most confident first"
    if num_errors == 1:
        words = "The only mistake"
    elif num_errors > shown:
        words = f"The {shown} most confident of {num_errors:,} mistakes"
    return f"{words}: true class → prediction, and its score."
