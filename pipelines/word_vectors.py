"""Word vectors from the texts themselves, as a start for a classifier."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.console import Console

from modelyard.data.texts.token_lists import join_tokens
from modelyard.models import set_word_vectors
from modelyard.pipelines.text_training import Tokens
from modelyard.training.files import write_atomically, write_json
from modelyard.training.run_folder import read_run_json
from modelyard.training.word_vectors import count_word_vectors, nearest_words

if TYPE_CHECKING:
    from modelyard.pipelines.classify_text import Config

_FACTS_FILE = "word_vectors.json"
_VECTORS_FILE = "word_vectors.npy"
_SHOWN_RANKS = (100, 200, 400, 800, 1600, 3200)  # By frequency, without numbers.
_NEAREST = 6


def start_from_cooccurrence(
    config: Config,
    tokens: Tokens,
    model: keras.Model,
    folder: Path,
    console: Console,
) -> dict[str, Any]:
    """Counts word vectors in all texts but those of validation and test; sets them.

    They are kept in the run's folder: `word_vectors.npy`, float32
    `(vocabulary_size, dim)`, and, beside it, `word_vectors.json` with what is known
    about them. A resumed run reads them.

    Args:
        config: Settings.
        tokens: The texts.
        model: The untrained classifier.
        folder: The run's folder.
        console: Where progress is shown.

    Returns:
        The facts: words that were read, words that have vectors, seconds, and some
        words with the nearest ones.
    """
    if (folder / _FACTS_FILE).exists():
        set_word_vectors(model, np.load(folder / _VECTORS_FILE))
        return read_run_json(folder, _FACTS_FILE)
    texts = join_tokens([tokens.train, tokens.unlabelled])
    words_read = len(texts.ids)
    console.print(f"Word vectors: counting in {words_read:,} words", highlight=False)
    began = time.perf_counter()
    size, dim = len(tokens.vocabulary), model.get_layer("embedding").output.shape[-1]
    vectors = count_word_vectors(texts, size, dim, seed=config.seed)
    seconds = time.perf_counter() - began
    set_word_vectors(model, vectors)
    words = [
        i for i in range(size) if tokens.vocabulary[i].isalpha() and vectors[i].any()
    ]
    shown = [words[rank] for rank in _SHOWN_RANKS if rank < len(words)]
    facts = {
        "words_read": words_read,
        "words_known": int(vectors.any(axis=1).sum()),
        "seconds": seconds,
        "neighbours": [
            {
                "word": tokens.vocabulary[i],
                "nearest": nearest_words(vectors, tokens.vocabulary, i, count=_NEAREST),
            }
            for i in shown
        ],
    }
    write_atomically(folder / _VECTORS_FILE, lambda file: np.save(file, vectors))
    write_json(folder / _FACTS_FILE, facts)  # Last: it says that all is there.
    return facts
