"""Settings and recipes of `classify-text`."""

import dataclasses
from typing import Any, Literal

from modelyard.data.names import require_known
from modelyard.data.settings import check_settings, group, setting
from modelyard.pipelines.common.recipes import Recipe
from modelyard.pipelines.common.text_settings import (
    PretrainingSettings,
    TextDataSettings,
)
from modelyard.training.settings import (
    OptimizerSettings,
    OutputSettings,
    TrainingSettings,
    check_basics,
)

MODELS = ("ngram", "text_cnn", "simple_rnn", "gru", "lstm", "transformer", "fnet")
COMPARED = ("accuracy", "roc_auc", "log_loss")


@dataclasses.dataclass(frozen=True)
class Network:
    """Model options; those that are unset are left to the model."""

    ngrams: int | None = setting(
        None, "Longest n-gram with a weight (ngram) or vector (other models)."
    )
    buckets: int | None = setting(
        None, "Rows that n-grams of two and more words are hashed into."
    )
    embedding_dim: int | None = setting(None, "Size of the word vectors.")
    units: int | None = setting(None, "Units of a recurrent layer per direction.")
    num_layers: int | None = setting(
        None, "Layers of a recurrent network or transformer."
    )
    bidirectional: bool | None = setting(
        None, "Whether a recurrent network also reads backwards."
    )
    pooling: str | None = setting(None, "How a text becomes one vector.")
    embedding_dropout: float | None = setting(
        None, "Share of the dimensions of the word vectors dropped per text."
    )
    dropout: float | None = setting(None, "Dropout rate.")


@dataclasses.dataclass(frozen=True)
class Training(TrainingSettings):
    """Training options."""

    batch_words: int = setting(
        32_768, "Maximum words per update, with padding; at least --max-length."
    )
    label_smoothing: float = setting(
        0.0, "Share of each label that is spread over all classes."
    )
    early_stopping: int = setting(
        0, "Epochs without a lower validation loss before stopping; 0 disables it."
    )
    naive_bayes: bool = setting(
        False, "Scale learning rates of words by naive Bayes; for ngram."
    )
    baseline: bool = setting(
        True, "Fit a linear baseline: TF-IDF bigrams and LinearSVC."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        check_settings(
            self,
            (
                ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"),
                ("early_stopping", self.early_stopping >= 0, "at least 0"),
            ),
        )


@dataclasses.dataclass(frozen=True)
class Optimizer(OptimizerSettings):
    """Optimizer options."""

    optimizer: Literal["sgd", "adam", "adamw"] = setting("adamw", "Update rule.")
    warmup_share: float = setting(0.2, "Share of the updates used for warm-up.")
    weight_decay: float = setting(0.01, "Decoupled weight decay; not applied by adam.")
    momentum: float = setting(0.9, "Momentum of sgd.")
    clip_norm: float = setting(
        1.0, "Maximum global norm of the gradients; 0 disables clipping."
    )
    embedding_rate_scale: float = setting(
        1.0, "Multiplier of the learning rate of word vectors; for sgd and adamw."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        super().__post_init__()
        is_positive = self.embedding_rate_scale > 0
        check_settings(self, [("embedding_rate_scale", is_positive, "above 0")])


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one run; recipes override these defaults."""

    dataset: str = setting(
        "reviews", "Name in `modelyard list`, or csv:PATH?text=COLUMN&label=COLUMN."
    )
    model: str = setting("ngram", f"One of: {', '.join(MODELS)}.")
    recipe: str = setting("fast", "smoke (seconds), fast or best (accuracy).")
    epochs: int = setting(5, "Passes over the training examples.")
    batch_size: int = setting(128, "Maximum texts per update.")
    learning_rate: float = setting(0.002, "Peak learning rate.")
    max_train_examples: int | None = setting(
        None, "Train on a balanced subset of that many examples."
    )
    seed: int = setting(0, "Seed of weights, splits, data order and dropout.")
    data: TextDataSettings = group(TextDataSettings)
    network: Network = group(Network)
    training: Training = group(Training)
    optimization: Optimizer = group(Optimizer)
    pretraining: PretrainingSettings = group(PretrainingSettings)
    output: OutputSettings = group(OutputSettings)

    def __post_init__(self):
        """Refuses values that no training can use, and those that do not fit."""
        require_known("model", self.model, MODELS)
        for teacher in self.pretraining.teachers:
            require_known("teachers", teacher, MODELS)
        check_basics(self)
        self._check_training()
        self._check_pretraining()

    def _check_training(self) -> None:
        """Refuses settings that this model cannot be trained with."""
        most, optimizer = self.data.max_length, self.optimization.optimizer
        rule = f"at least max_length ({most})"
        check_settings(
            self.training,
            (
                ("batch_words", self.training.batch_words >= most, rule),
                (
                    "naive_bayes",
                    not self.training.naive_bayes
                    or (self.model == "ngram" and self.network.embedding_dim is None),
                    "left out unless the model is ngram, without embedding_dim",
                ),
            ),
        )
        has_scale = self.optimization.embedding_rate_scale != 1
        takes_scale = self.model != "ngram" and optimizer in ("sgd", "adamw")
        rule = "1 unless the optimizer is sgd or adamw, and the model not ngram"
        check_settings(
            self.optimization,
            [("embedding_rate_scale", not has_scale or takes_scale, rule)],
        )

    def _check_pretraining(self) -> None:
        """Refuses a language model or word vectors that the model cannot start from."""
        pretraining, most = self.pretraining, self.data.max_length
        has_language_model = pretraining.has_language_model
        check_settings(
            pretraining,
            (
                (
                    "word_vectors",
                    pretraining.word_vectors == "random"
                    or (self.model != "ngram" and not has_language_model),
                    "random if the model is ngram or starts from a language model",
                ),
                (
                    "pretrain_epochs",
                    not pretraining.pretrain_epochs or self.model == "lstm",
                    "0 unless the model is lstm",
                ),
                (
                    "pretrain_batch_words",
                    not pretraining.pretrain_epochs
                    or pretraining.pretrain_batch_words >= most,
                    f"at least max_length ({most})",
                ),
                (
                    "pretrained",
                    pretraining.pretrained is None
                    or (self.model == "lstm" and not pretraining.pretrain_epochs),
                    "left out unless the model is lstm, without pretrain_epochs",
                ),
            ),
        )
        if not has_language_model:
            return
        optimizer = self.optimization.optimizer
        rule = "sgd or adamw with a language model"
        is_scaled = optimizer in ("sgd", "adamw")
        check_settings(self.optimization, [("optimizer", is_scaled, rule)])
        rule = "1 with a language model, whose vectors are of words alone"
        has_words = self.network.ngrams in (None, 1)
        check_settings(self.network, [("ngrams", has_words, rule)])


# Later rows override earlier ones. Values were chosen on reviews held out of the
# training split, few of them by a search.
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
# Adam moves the vectors of rare words as far as those of common ones, and memorises the
# training texts. SGD does not; but a word occurs in few texts of a batch, so its vector
# gets small gradients and needs a higher learning rate than the layers above.
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
# For `fast`, and for `best` where nothing better is known.
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
