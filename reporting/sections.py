"""Sections that a pipeline adds to the page of its runs."""

import dataclasses
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from markupsafe import Markup

from modelyard.evaluation.classification import most_confident_mistakes
from modelyard.reporting.figures import picture_uri

_DISPLAY_SIDE = 96  # Small pictures are enlarged to about this.


@dataclasses.dataclass(frozen=True)
class Explained:
    """A picture beside what the prediction rests on.

    Attributes:
        picture: `data:` URI of the picture.
        overlay: `data:` URI of the picture under its heat map.
        true: Name of the true class.
        predicted: Name of the predicted class.
        score: Probability of the predicted class.
    """

    picture: str
    overlay: str
    true: str
    predicted: str
    score: float

    @property
    def right(self) -> bool:
        """Whether the prediction is right."""
        return self.true == self.predicted


@dataclasses.dataclass(frozen=True)
class ExplainedText:
    """A text with what the prediction rests on.

    Attributes:
        words: Each word with its share in [-1, 1] of the strongest one's influence:
            above 0 it speaks for the predicted class, below 0 against it.
        true: Name of the true class.
        predicted: Name of the predicted class.
        score: Probability of the predicted class.
        is_rough: Whether the words' influence could only be estimated roughly.
    """

    words: Sequence[tuple[str, float]]
    true: str
    predicted: str
    score: float
    is_rough: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under its own heading; what is empty is left out.

    Attributes:
        title: The heading.
        note: A sentence or two under it.
        header: Names of the table's columns; the first one names the rows.
        rows: Cells of the table as text.
        figure: A drawing.
        explained: Pictures with heat maps.
        texts: Texts with coloured words.
    """

    title: str
    note: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: Markup | None = None
    explained: Sequence[Explained] = ()
    texts: Sequence[ExplainedText] = ()


def choose_to_explain(
    scores: np.ndarray, labels: np.ndarray, *, right: int, wrong: int
) -> np.ndarray:
    """Chooses examples worth explaining.

    Args:
        scores: Probabilities, floating `(n, k)`.
        labels: True classes, integer `(n,)`.
        right: Right predictions to choose, of as many classes as there are.
        wrong: Mistakes to choose, the most confident ones.

    Returns:
        Indices, int64; fewer where there are not so many.
    """
    hits = np.flatnonzero(scores.argmax(axis=1) == labels)
    # Every class once before any class twice, in the order of the test split.
    seen: dict[int, int] = {}
    turns = []
    for label in labels[hits].tolist():
        seen[label] = seen.get(label, -1) + 1
        turns.append(seen[label])
    order = np.lexsort((labels[hits], np.array(turns)))[:right]
    mistakes = most_confident_mistakes(scores, labels, count=wrong)
    return np.concatenate([hits[order], mistakes]).astype(np.int64)


def overlay_uri(image: np.ndarray, heat_map: np.ndarray) -> str:
    """Encodes a picture under its heat map for an `img` element.

    Args:
        image: uint8 `(height, width, channels)` with 1 or 3 channels.
        heat_map: float `(height, width)` in [0, 1].

    Returns:
        A `data:` URI of a PNG: dark where nothing counts, bright where much does.
    """
    grey = image.mean(axis=-1, keepdims=True) / 255
    colours = mpl.colormaps["inferno"](0.95 * np.asarray(heat_map))[..., :3]
    blended = 0.4 * grey + 0.6 * colours
    return enlarged_uri(np.rint(255 * blended).astype(np.uint8))


def enlarged_uri(image: np.ndarray) -> str:
    """Encodes a picture like `picture_uri`, a small one in larger pixels."""
    factor = max(1, _DISPLAY_SIDE // max(image.shape[:2]))
    return picture_uri(image.repeat(factor, axis=0).repeat(factor, axis=1))
