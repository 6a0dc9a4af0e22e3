import numpy as np
import pytest
import tensorflow as tf

from modelyard.data.errors import DatasetError
from modelyard.data.texts.tokenizer import (
    build_vocabulary,
    encode_texts,
    load_vocabulary,
    make_text_encoder,
    make_tokenizer,
    save_vocabulary,
    truncate_tokens,
)

VOCABULARY = ["", "[UNK]", "good", "film", "!", "don't", "cafe"]


def as_texts(*texts):
    return np.array(texts, dtype=object)


def test_vocabulary_is_ordered_by_count_then_alphabet():
    texts = as_texts("Good good GOOD film!", "film, b a", "", "x" * 65 + " " + "x" * 65)
    vocabulary = build_vocabulary(texts, 100, 1)
    assert vocabulary == ["", "[UNK]", "good", "film", "!", ",", "a", "b"]
    assert build_vocabulary(texts, 1, 1) == vocabulary[:3]
    assert build_vocabulary(texts, 100, 2) == vocabulary[:4]


@pytest.mark.parametrize(
    ("max_words", "min_count", "message"),
    [
        (0, 1, "`max_words` must be at least 1.*max_words=0"),
        (9, 0, "`min_count` must be at least 1.*min_count=0"),
        (9, 3, "`texts` must have words.*2 texts, min_count=3"),
    ],
)
def test_wrong_vocabulary_argument_is_named(max_words, min_count, message):
    with pytest.raises(ValueError, match=message):
        build_vocabulary(as_texts("a b", "a"), max_words, min_count)


def test_vocabulary_is_saved_and_loaded(tmp_path):
    words = [*VOCABULARY, "映", '"']
    save_vocabulary(words, tmp_path / "v.json")
    assert load_vocabulary(tmp_path / "v.json") == words
    for content in ("[", '["a"]', "{}"):
        (tmp_path / "v.json").write_text(content)
        with pytest.raises(DatasetError, match=r"v\.json"):
            load_vocabulary(tmp_path / "v.json")


def test_words_become_ids_and_an_empty_text_an_unknown_word():
    texts = as_texts("", "Good film!", "I don't", " ", "<br />", "café")
    tokens = encode_texts(make_tokenizer(VOCABULARY), texts)
    rows = [row.tolist() for row in tokens]
    assert rows == [[1], [2, 3, 4], [1, 5], [1], [1], [6]]
    assert tokens.ids.dtype == np.int32
    assert tokens.offsets.dtype == np.int64
    assert len(encode_texts(make_tokenizer(VOCABULARY), as_texts())) == 0


def test_order_is_kept_across_chunks():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, 1500)
    counts[:256] = 3000  # The first chunk takes longest.
    texts = as_texts(*(("film " * count) + "good" for count in counts))
    tokens = encode_texts(make_tokenizer(VOCABULARY), texts)
    np.testing.assert_array_equal(tokens.lengths, counts + 1)
    assert (tokens.ids[tokens.offsets[1:] - 1] == 2).all()


TEXTS = (
    "",
    "good",
    "Good film! " * 9 + "don't",
    "👍 café שלום",
    "film " * 8,
    "film " * 9,
    "nothing of it",
)


@pytest.mark.parametrize("truncation", ["head", "tail", "head_tail"])
@pytest.mark.parametrize("max_length", [1, 3, 8, 100])
def test_served_ids_are_those_of_training(truncation, max_length):
    tokenizer = make_tokenizer(VOCABULARY)
    tokens = encode_texts(tokenizer, as_texts(*TEXTS))
    expected = truncate_tokens(tokens, max_length, truncation).to_dense()
    encoder = make_text_encoder(tokenizer, max_length, truncation)
    served = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    for encode in (encoder, served):
        ids = encode(tf.constant(TEXTS))
        assert ids.dtype == tf.int32
        np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(served(tf.constant(["", " "])), [[1], [1]])
    assert served(tf.constant([], tf.string)).shape == (0, 1)


def test_encoder_accepts_any_bytes():
    encoder = make_text_encoder(make_tokenizer(VOCABULARY), 50, "head_tail")
    ids = encoder(tf.constant([b"", b"\xff\xfe", "🎬".encode(), b"good " * 210_000]))
    assert ids.shape == (4, 50)
    assert ids[:3, 0].numpy().tolist() == [1, 1, 1]
    assert (ids[3].numpy() == 2).all()


def test_encoder_exports_its_lookup_table(tmp_path):
    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.encoder = make_text_encoder(make_tokenizer(VOCABULARY), 4, "tail")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, text):
            return {"tokens": self.encoder(text)}

    served = Served()
    signatures = {"serving_default": served.serve}
    tf.saved_model.save(served, tmp_path / "export", signatures)
    loaded = tf.saved_model.load(tmp_path / "export")
    ids = loaded.signatures["serving_default"](text=tf.constant(["a good CAFÉ!"]))
    np.testing.assert_array_equal(ids["tokens"], [[1, 2, 6, 4]])


def test_wrong_encoder_argument_is_named():
    tokenizer = make_tokenizer(VOCABULARY)
    with pytest.raises(ValueError, match=r"`max_length` must be .*max_length=0"):
        make_text_encoder(tokenizer, 0)
    with pytest.raises(ValueError, match=r"`truncation` must be one of.*'both'"):
        make_text_encoder(tokenizer, 4, "both")
