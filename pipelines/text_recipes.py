"""Recipes of the text classifiers; later rows win over earlier ones.

Values were chosen on reviews held out of the training split, few of them by a search.
"""

from typing import Any

from modelyard.pipelines.recipes import Recipe

_IMDB = ("imdb_reviews", "reviews")
_NGRAM = {
    "naive_bayes": True,
    "max_length": 2000,
    "min_count": 1,
    "max_words": 200_000,
    "epochs": 2,
    "learning_rate": 0.05,
    "batch_words": 131_072,
}
_GATED = {
    "embedding_dropout": 0.5,
    "dropout": 0.5,
    "epochs": 3,
    "batch_size": 64,
    "batch_words": 16_384,
    "learning_rate": 0.004,
}
# Adam moves the vectors of rare words as far as those of common ones, and learns the
# training texts by heart. SGD does not; but a word is in few texts of a batch, so that
# its vector gets small gradients, and needs a greater rate than the layers above.
_SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "embedding_rate_scale": 40.0,
    "weight_decay": 0.0,
    "clip_norm": 0.0,
}
_LSTM = {
    **_SGD,
    "ngrams": 2,
    "embedding_dropout": 0.2,
    "pooling": "max_mean",
    "max_length": 700,
    "epochs": 4,
}
_ENCODER = {
    "embedding_dim": 64,
    "num_layers": 1,
    "embedding_dropout": 0.5,
    "dropout": 0.3,
    "epochs": 2,
    "learning_rate": 0.001,
    "batch_size": 64,
    "batch_words": 16_384,
}
_FOURIER = {
    **_ENCODER,
    "embedding_dropout": 0.3,
    "dropout": 0.2,
    "epochs": 4,
    "learning_rate": 0.003,
}
# Of `fast`, and of `best` where nothing better is known.
_BOTH: tuple[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]], ...] = (
    (_NGRAM, (), ("ngram",)),
    ({"buckets": 2**22}, _IMDB, ("ngram",)),
    (_GATED, (), ("gru", "lstm")),
    (_ENCODER, (), ("transformer",)),
    ({"ngrams": 2}, ("imdb_reviews",), ("transformer",)),
    (_FOURIER, (), ("fnet",)),
    ({"dropout": 0.5, "epochs": 3}, (), ("simple_rnn",)),
    ({"embedding_dim": 64, "epochs": 3}, (), ("text_cnn",)),
    ({**_SGD, "embedding_dim": 128, "epochs": 8}, _IMDB, ("text_cnn",)),
)

RECIPES = (
    Recipe(
        "smoke",
        "seconds: a few steps, to see that everything works",
        {"epochs": 1, "max_train_examples": 500, "max_length": 100, "baseline": False},
    ),
    Recipe("fast", "the best accuracy per second", {}),
    Recipe("best", "the best accuracy", {}),
    *(
        Recipe(name, "", values, datasets, models)
        for name in ("fast", "best")
        for values, datasets, models in _BOTH
    ),
    # Not on `reviews`, whose films are in all splits: AdamW was better there.
    Recipe("fast", "", _LSTM, ("imdb_reviews",), ("lstm",)),
    Recipe(
        "best",
        "",
        {
            **_LSTM,
            "word_vectors": "cooccurrence",
            "teachers": ("ngram", "lstm"),
            "epochs": 2,
        },
        ("imdb_reviews",),
        ("lstm",),
    ),
    Recipe("best", "", {"teachers": ("ngram",)}, ("imdb_reviews",), ("ngram",)),
)
