"""Groups of settings that text pipelines share. Importing this loads no Keras."""

import dataclasses
from typing import Literal

from modelyard.data.settings import check_settings, setting
from modelyard.training.settings import DataSettings


@dataclasses.dataclass(frozen=True)
class TextDataSettings(DataSettings):
    """Data options."""

    max_words: int = setting(30_000, "Maximum size of the vocabulary.")
    min_count: int = setting(2, "Occurrences that a word of the vocabulary needs.")
    max_length: int = setting(400, "Words of a text that the model reads.")
    truncation: Literal["head", "tail", "head_tail"] = setting(
        "head_tail", "Part of a longer text that is read."
    )
    drop_test_texts: bool = setting(
        True, "Remove test texts from the training examples."
    )

    def __post_init__(self):
        """Refuses values that no training can use."""
        super().__post_init__()
        check_settings(
            self,
            (
                ("max_words", self.max_words >= 1, "at least 1"),
                ("min_count", self.min_count >= 1, "at least 1"),
                ("max_length", self.max_length >= 1, "at least 1"),
            ),
        )


@dataclasses.dataclass(frozen=True)
class PretrainingSettings:
    """Learning from unlabelled texts: word vectors, teachers, a language model."""

    word_vectors: Literal["random", "cooccurrence"] = setting(
        "random", "Initial word vectors; cooccurrence counts neighbours in the texts."
    )
    teachers: tuple[str, ...] = setting(
        (), "Models that label the unlabelled texts of imdb_reviews first."
    )
    teacher_rounds: int = setting(
        1, "Trainings of the teachers; later ones include the texts they labelled."
    )
    pretrain_epochs: int = setting(
        0, "Epochs of a language model that the lstm starts from; 0 disables it."
    )
    pretrain_batch_words: int = setting(
        8192, "Maximum words per update of the language model."
    )
    pretrain_learning_rate: float = setting(
        0.003, "Peak learning rate of the language model."
    )
    pretrained: str | None = setting(
        None, "Folder of a run whose language model is used instead."
    )
    unfreezing: Literal["gradual", "at_once", "none"] = setting(
        "gradual",
        "Fine-tuning: a layer group per epoch, all at once, or the head only.",
    )
    rate_decay: float = setting(
        0.4, "Factor of the learning rate from one group of its layers to the next."
    )

    @property
    def has_language_model(self) -> bool:
        """Whether the model starts from a language model."""
        return self.pretrain_epochs > 0 or self.pretrained is not None

    @property
    def uses_unlabelled(self) -> bool:
        """Whether texts without labels are read."""
        return (
            self.pretrain_epochs > 0
            or bool(self.teachers)
            or self.word_vectors == "cooccurrence"
        )

    def __post_init__(self):
        """Refuses values that no training can use."""
        are_different = len(set(self.teachers)) == len(self.teachers)
        check_settings(
            self,
            (
                ("teachers", are_different, "different models"),
                ("teacher_rounds", self.teacher_rounds >= 1, "at least 1"),
                (
                    "teacher_rounds",
                    self.teacher_rounds == 1 or bool(self.teachers),
                    "1 without teachers",
                ),
                ("pretrain_epochs", self.pretrain_epochs >= 0, "at least 0"),
                ("pretrain_learning_rate", self.pretrain_learning_rate > 0, "above 0"),
                ("rate_decay", 0 < self.rate_decay <= 1, "in (0, 1]"),
            ),
        )
