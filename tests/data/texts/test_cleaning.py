# ruff: noqa: RUF001
# These tests need letters of many scripts and styles.
import keras
import numpy as np
import pytest
import tensorflow as tf

from modelyard.data.texts.cleaning import clean_texts
from modelyard.data.texts.unicode_forms import character_forms


def clean(*texts):
    return [text.decode() for text in clean_texts(tf.constant(list(texts))).numpy()]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The Film", "the film"),
        ("  a\t\n b\x00c\x0bd ", "a b c d"),
        ("", ""),
        (" \n ", ""),
        ("good.<br /><br />Bad", "good . bad"),
        ("a<I CLASS='x'>b</i><!doctype>c", "a b c"),
        ("I <3 this, 1 < 2 > 0", "i < 3 this , 1 < 2 > 0"),
        ("Great!!! Why?", "great ! ! ! why ?"),
        ("well... yes.. no.", "well … yes … no ."),
        ("so--called so-called ---", "so - called so - called -"),
        ("don't the dogs' 'quoted' ''n''", "don't the dogs quoted n"),
        ("'tis 'it' ' '' end'", "tis it end"),
        ("rock'n'roll '80s", "rock'n'roll 80s"),
        ("(a_b)#c10/10", "( a _ b ) # c10 / 10"),
        ("Café NAÏVE Ångström", "cafe naive angstrom"),
        ("cafe\u0301", "cafe"),
        ("don\u2019t \u201cquote\u201d \u2013 it\u2026", 'don\'t " quote " - it …'),
        ("it\x92s \x93so\x94 \x96 well\x85 \x81x", 'it\'s " so " - well … x'),
        ("ﬁne １２ Ⅷ ½ 𝐁old ℌ", "fine 12 viii 1 / 2 bold h"),
        ("ÀÉ ΑΘΉΝΑ МОСКВА İstanbul", "ae αθηνα москва istanbul"),
        ("a\u00a0b\u3000c\u200bd\u00ade\ufeff", "a b cde"),
        ("Great👍🏽❤️!", "great 👍 🏽 ❤ !"),
        ("映画は良い", "映 画 は 良 い"),
        ("한국 영화", "한국 영화"),
        ("अच्छी फ़िल्म", "अच्छी फ़िल्म"),
        ("فِيلم رائع، ﻻ", "فِيلم رائع ، لا"),
        ("סרט טוב!", "סרט טוב !"),
    ],
)
def test_text_is_split_into_lower_case_words_and_marks(text, cleaned):
    assert clean(text) == [cleaned]


def test_invalid_utf8_becomes_spaces():
    texts = tf.constant([b"caf\xe9 good", b"\xff\xfe", b"a\xc3", b"fine"])
    assert clean_texts(texts).numpy().tolist() == [b"caf good", b"", b"a", b"fine"]


def test_order_and_shape_are_kept():
    texts = tf.constant([["Á", "B"], ["C", "Ð é"], ["\u200b", ""]])
    assert clean_texts(texts).numpy().tolist() == [
        [b"a", b"b"],
        [b"c", "ð e".encode()],
        [b"", b""],
    ]
    assert clean_texts(tf.constant([], tf.string)).shape == (0,)
    assert clean_texts(tf.constant("É")).numpy() == b"e"


def test_cleaning_is_idempotent():
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 0x3000, (200, 40))
    texts = ["".join(map(chr, row)) for row in codes]
    once = clean(*texts)
    assert clean(*once) == once
    assert all("  " not in text and text == text.strip() for text in once)


def test_long_texts_are_cleaned():
    ascii_text = "Word's <br /> '" * 70_000  # About 1 MB.
    (cleaned,) = clean(ascii_text)
    assert cleaned == " ".join(["word's"] * 70_000)
    (cleaned,) = clean("É" * 500_000)
    assert cleaned == "e" * 500_000


def test_function_runs_in_a_graph_without_python():
    function = tf.function(
        clean_texts, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    graph = function.get_concrete_function().graph
    assert not any("Py" in op.type for op in graph.get_operations())
    # An export stores these constants once per signature.
    assert len(graph.as_graph_def().SerializeToString()) < 400_000
    assert function(tf.constant(["É!"])).numpy().tolist() == [b"e !"]


def test_layer_with_the_function_can_be_serialised():
    layer = keras.layers.TextVectorization(
        standardize=clean_texts, vocabulary=["cafe", "!"]
    )
    assert keras.saving.get_registered_name(clean_texts) == "modelyard>clean_texts"
    config = keras.saving.serialize_keras_object(layer)
    restored = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(restored(["Café!"]), [[2, 3]])


def test_forms_are_a_sorted_table():
    codes, forms = character_forms()
    assert (np.diff(codes) > 0).all()
    assert codes.dtype == forms.dtype == np.int32
    assert not np.isin(np.arange(ord("a"), ord("z")), codes).any()
