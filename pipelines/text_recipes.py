"""Recipes of the text classifiers; later rows win over earlier ones.

Values were chosen on reviews held out of the training split.
"""

from modelyard.pipelines.recipes import Recipe

RECIPES = (
    Recipe(
        "smoke",
        "seconds: a few steps, to see that everything works",
        {"epochs": 1, "max_train_examples": 500, "max_length": 100, "baseline": False},
    ),
    Recipe("fast", "the best accuracy per second", {}),
    Recipe(
        "fast",
        "",
        {
            "naive_bayes": True,
            "max_length": 2000,
            "min_count": 1,
            "max_words": 200_000,
            "epochs": 2,
            "learning_rate": 0.05,
            "batch_words": 131_072,
        },
        models=("ngram",),
    ),
    Recipe(
        "fast",
        "",
        {"buckets": 2**22},
        datasets=("imdb_reviews", "reviews"),
        models=("ngram",),
    ),
)
