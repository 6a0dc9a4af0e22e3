"""What text pipelines share: token ids, batches and predictions."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from scipy.special import softmax

from modelyard.data.texts.loading import TextSplits
from modelyard.data.texts.token_lists import join_tokens
from modelyard.data.texts.token_pipeline import (
    in_original_order,
    make_token_evaluation_dataset,
)
from modelyard.data.texts.tokenizer import (
    TokenLists,
    build_vocabulary,
    encode_texts,
    load_vocabulary,
    make_tokenizer,
    truncate_tokens,
)
from modelyard.pipelines.common.language_model import VOCABULARY_FILE
from modelyard.pipelines.common.text_settings import (
    PretrainingSettings,
    TextDataSettings,
)


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Token ids of each split.

    Attributes:
        vocabulary: The words of the training and unlabelled texts, or of the
            `pretrained` run; the position is the token id.
        train: Token ids of the training texts.
        validation: Token ids of the validation texts.
        test: Token ids of the test texts.
        unlabelled: Token ids of the unlabelled texts, if they are used.
        lessons: Token ids of what the model is trained on: `train`, followed by
            `unlabelled` if teachers label those.
    """

    vocabulary: list[str]
    train: TokenLists
    validation: TokenLists
    test: TokenLists
    unlabelled: TokenLists
    lessons: TokenLists


def tokenize(
    splits: TextSplits, data: TextDataSettings, pretraining: PretrainingSettings
) -> Tokens:
    """Encodes all splits.

    The vocabulary is that of the training and unlabelled texts, or of the `pretrained`
    run.
    """
    if pretraining.pretrained is None:
        vocabulary = build_vocabulary(
            np.concatenate([splits.train.texts, splits.unlabelled]),
            max_words=data.max_words,
            min_count=data.min_count,
        )
    else:
        vocabulary = load_vocabulary(Path(pretraining.pretrained) / VOCABULARY_FILE)
    tokenizer = make_tokenizer(vocabulary)
    train, validation, test, unlabelled = (
        encode(tokenizer, texts, data)
        for texts in (
            splits.train.texts,
            splits.validation.texts,
            splits.test.texts,
            splits.unlabelled,
        )
    )
    lessons = join_tokens([train, unlabelled]) if pretraining.teachers else train
    return Tokens(vocabulary, train, validation, test, unlabelled, lessons)


def encode(
    tokenizer: keras.layers.TextVectorization, texts: np.ndarray, data: TextDataSettings
) -> TokenLists:
    """Returns the token ids of texts, cut to the length that the model reads."""
    tokens = encode_texts(tokenizer, texts)
    return truncate_tokens(tokens, data.max_length, data.truncation)


def batch_limits(batch_words: int, batch_size: int) -> dict[str, int]:
    """Returns how many words and texts a batch holds at most, as `tf.data` takes it."""
    return {"batch_tokens": batch_words, "max_batch": batch_size}


def predict_scores(
    model: keras.Model, tokens: TokenLists, limits: Mapping[str, int]
) -> np.ndarray:
    """Predicts class probabilities, float32 `(n, num_classes)`.

    Args:
        model: The classifier, from token ids to logits.
        tokens: Token ids of the texts.
        limits: As of `batch_limits`.
    """
    dataset = make_token_evaluation_dataset(
        tokens, np.zeros(len(tokens), "int64"), **limits
    )
    logits = in_original_order(model.predict(dataset, verbose=0), tokens)
    return softmax(logits, axis=-1).astype("float32")
