"""Layers for padded sequences, by themselves."""

import keras
import numpy as np

from modelyard.models.sequence_layers import WordDropout


def test_word_dropout_makes_a_share_of_the_words_unknown_and_leaves_padding():
    words = np.full((50, 200), 7, dtype="int32")
    words[:, 150:] = 0
    layer = WordDropout(0.3, seed=0)
    hidden = keras.ops.convert_to_numpy(layer(words, training=True))
    assert hidden.dtype == "int32"
    np.testing.assert_array_equal(hidden[:, 150:], 0)
    assert set(np.unique(hidden[:, :150])) == {1, 7}
    shares = np.mean(hidden[:, :150] == 1, axis=1)
    assert abs(shares.mean() - 0.3) < 0.02
    assert shares.std() > 0.02  # Every text has a choice of its own.
    again = keras.ops.convert_to_numpy(layer(words, training=True))
    assert np.any(again != hidden)
    np.testing.assert_array_equal(layer(words), words)
