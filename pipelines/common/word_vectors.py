"""Word vectors computed from the texts themselves, to initialise a classifier."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from modelyard.data.texts.token_lists import TokenLists
from modelyard.models import set_word_vectors
from modelyard.training.files import storage_errors, write_atomically, write_json
from modelyard.training.run_folder import read_run_json
from modelyard.training.word_vectors import count_word_vectors, nearest_words

_FACTS_FILE = "word_vectors.json"
_VECTORS_FILE = "word_vectors.npy"
_SHOWN_RANKS = (100, 200, 400, 800, 1600, 3200)  # By frequency, without numbers.
_NEAREST = 6


def start_from_cooccurrence(
    model: keras.Model,
    texts: TokenLists,
    vocabulary: Sequence[str],
    *,
    seed: int,
    folder: Path,
    console: Console,
) -> dict[str, Any]:
    """Computes word vectors from co-occurrences and sets them in a classifier.

    They are kept in `folder` as `word_vectors.npy`, float32 `(vocabulary_size, dim)`,
    with facts about them in `word_vectors.json`. A resumed run reads them.

    Args:
        model: The untrained classifier.
        texts: Token ids of the texts to count in.
        vocabulary: The words; the position is the token id.
        seed: Seed of the decomposition.
        folder: Folder of the run, or of a part of it; created if needed.
        console: Where progress is shown.

    Returns:
        The facts: words that were read, words that have vectors, seconds, and some
        words with the nearest ones.
    """
    if (folder / _FACTS_FILE).exists():
        set_word_vectors(model, np.load(folder / _VECTORS_FILE))
        return read_run_json(folder, _FACTS_FILE)
    words_read = len(texts.ids)
    console.print(f"Word vectors: counting in {words_read:,} words", highlight=False)
    began = time.perf_counter()
    size, dim = len(vocabulary), model.get_layer("embedding").output.shape[-1]
    vectors = count_word_vectors(texts, size, dim, seed=seed)
    seconds = time.perf_counter() - began
    set_word_vectors(model, vectors)
    words = [i for i in range(size) if vocabulary[i].isalpha() and vectors[i].any()]
    shown = [words[rank] for rank in _SHOWN_RANKS if rank < len(words)]
    facts = {
        "words_read": words_read,
        "words_known": int(vectors.any(axis=1).sum()),
        "seconds": seconds,
        "neighbours": [
            {
                "word": vocabulary[i],
                "nearest": nearest_words(vectors, vocabulary, i, count=_NEAREST),
            }
            for i in shown
        ],
    }
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _VECTORS_FILE, lambda file: np.save(file, vectors))
    write_json(folder / _FACTS_FILE, facts)  # Last: it says that both are complete.
    return facts
