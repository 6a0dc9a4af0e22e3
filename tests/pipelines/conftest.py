"""What tests of several pipelines share."""

import pytest

from modelyard.data.catalogue import find_card
from modelyard.data.texts import loading as text_loading


@pytest.fixture
def pose_as_imdb(monkeypatch):
    """A function that makes examples by split the content of `imdb_reviews`."""

    def pose(parts):
        def load(spec, data_dir, *, with_unlabelled):
            del spec, data_dir
            names = [n for n in parts if n != "unsupervised" or with_unlabelled]
            return find_card("imdb_reviews"), {name: parts[name] for name in names}

        monkeypatch.setattr(text_loading, "_load_source", load)

    return pose
