"""Small text models of every kind, by a name for the test."""

CASES: dict[str, tuple[str, dict]] = {
    "ngram": ("ngram_classifier", {"buckets": 64}),
    "ngram_trigrams": ("ngram_classifier", {"buckets": 64, "ngrams": 3}),
    "ngram_words": ("ngram_classifier", {"ngrams": 1, "unique": False}),
    "ngram_vectors": ("ngram_classifier", {"buckets": 64, "embedding_dim": 4}),
    "cnn": ("text_cnn", {"embedding_dim": 6, "filters": 3, "l2": 1e-3, "dropout": 0.0}),
    "cnn_one_width": ("text_cnn", {"embedding_dim": 6, "widths": (2,), "dropout": 0.0}),
    **{
        f"{cell}_{pooling}": (
            "recurrent_classifier",
            {"cell": cell, "pooling": pooling, "embedding_dim": 6, "units": 5},
        )
        for cell, pooling in [
            ("simple_rnn", "last"),
            ("gru", "mean"),
            ("lstm", "last"),
            ("lstm", "max"),
            ("lstm", "max_mean"),
            ("lstm", "attention"),
        ]
    },
    "lstm_ngrams": (
        "recurrent_classifier",
        {"embedding_dim": 6, "units": 5, "ngrams": 3, "buckets": 64},
    ),
    "lstm_keras": (
        "recurrent_classifier",
        {"embedding_dim": 6, "units": 5, "implementation": "keras", "pooling": "last"},
    ),
    "lstm_forward": (
        "recurrent_classifier",
        {"embedding_dim": 6, "units": 5, "bidirectional": False, "pooling": "last"},
    ),
    "gru_forward_twice": (
        "recurrent_classifier",
        {
            "cell": "gru",
            "embedding_dim": 6,
            "units": 5,
            "bidirectional": False,
            "num_layers": 2,
        },
    ),
    "lstm_twice": (
        "recurrent_classifier",
        {
            "embedding_dim": 6,
            "units": 5,
            "num_layers": 2,
            "embedding_dropout": 0.3,
            "dropout": 0.3,
            "weight_drop": 0.3,
        },
    ),
    "transformer": (
        "transformer_classifier",
        {"embedding_dim": 8, "num_heads": 2, "embedding_dropout": 0.1},
    ),
    "transformer_attention": (
        "transformer_classifier",
        {"embedding_dim": 8, "num_heads": 2, "pooling": "attention", "num_layers": 1},
    ),
    "transformer_ngrams": (
        "transformer_classifier",
        {"embedding_dim": 8, "num_heads": 2, "ngrams": 2, "buckets": 64},
    ),
    "fourier": (
        "transformer_classifier",
        {"embedding_dim": 6, "mixing": "fourier", "pooling": "max_mean"},
    ),
}
