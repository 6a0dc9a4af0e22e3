import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelyard.evaluation.attributions import Attributor
from modelyard.exporting import text_classifier as text_export
from modelyard.exporting.publishing import GateError, bytes_example
from modelyard.exporting.text_classifier import export_text_classifier
from modelyard.serving.description import ExportDescription, read_description
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel
from modelyard.serving.predict.predictor import load_predictor

pytestmark = pytest.mark.slow

_NAMES = ("bad", "good", "höhle")
_TEXTS = ["a good film !", "not a very good film", "Höhle", "bad bad bad not good"]
_ODD = [
    b"",
    b" \n\t",
    b"good " * 200_000,
    b"x" * 1_000_000,
    "\N{GRINNING FACE} good \N{FACE WITH TEARS OF JOY}".encode(),
    "\u0641\u064a\u0644\u0645 good \u200f\u0631\u0627\u0626\u0639".encode(),
    b"\xff\xfe bad \xc3",
    b"zero \x00 byte",
]


@pytest.fixture(scope="module")
def model(text_model):
    return text_model("lstm")


@pytest.fixture(scope="module")
def published(model, word_encoder, vocabulary, publish, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "metrics.json").write_text("{}")
    return publish(
        export_text_classifier,
        model,
        word_encoder,
        folder / "saved_models" / "reviews",
        task="classify-text",
        class_names=_NAMES,
        golden_texts=_TEXTS,
        extra_files=[folder / "metrics.json"],
        vocabulary=vocabulary,
    )


@pytest.fixture(scope="module")
def served(published):
    with NativeModel(published.path) as loaded:
        yield loaded


def _strings(texts):
    return np.array([t if isinstance(t, bytes) else t.encode() for t in texts], object)


def test_first_export_is_version_one_and_follows_every_rule(published):
    assert published.path.name == "1"
    assert [path.name for path in published.path.parent.iterdir()] == ["1"]
    assert [rule.rule for rule in published.gate.rules if rule.ok is not True] == []


def test_export_is_described_and_documents_travel_along(published):
    assert read_description(published.path) == ExportDescription(
        "classify-text", kind="classes", inputs="texts", class_names=_NAMES
    )
    extra = published.path / "assets.extra"
    assert json.loads((extra / "metrics.json").read_text()) == {}
    assert (extra / "labels.txt").read_text().splitlines() == list(_NAMES)


def test_signatures_answer_like_the_model(served, model, word_encoder):
    texts = _strings(_TEXTS)
    tokens = word_encoder(tf.constant(texts))
    expected = tf.nn.softmax(model(tokens)).numpy()
    assert np.ptp(expected) > 0.1
    examples = _strings([bytes_example("text", text) for text in texts])
    answers = [
        served.run("serving_default", {"text": texts}),
        served.run("classify", {"inputs": examples}),
        served.run("explain", {"text": texts}),
    ]
    for answer in answers:
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-6)
        assert answer["scores"].dtype == np.float32
        names = [name.decode() for name in answer["classes"][-1]]
        assert names == list(_NAMES)
    features = keras.Model(model.input, model.get_layer("features").output)
    embedding = served.run("embed", {"text": texts})["embedding"]
    np.testing.assert_allclose(embedding, features(tokens), atol=1e-6)


def test_explanations_show_words_with_their_attributions(served, model, word_encoder):
    texts = ["a good old film !", "bad"]
    answer = served.run("explain", {"text": _strings(texts)})
    shown = [[word.decode() for word in row] for row in answer["tokens"]]
    assert shown == [["a", "good", "[UNK]", "film", "!"], ["bad", "", "", "", ""]]
    tokens = word_encoder(tf.constant(texts)).numpy()
    expected = Attributor(model).explain(tokens)
    np.testing.assert_allclose(answer["attribution"], expected.values, atol=1e-5)
    assert np.abs(answer["attribution"]).max() > 0.1
    np.testing.assert_allclose(expected.gaps, 0, atol=1e-3)


def test_odd_texts_are_answered_alone_and_together(published, served):
    with load_predictor(published.path) as predictor:
        answers = predictor.predict([*_ODD, *_TEXTS])
    assert not [answer.error for answer in answers if answer.error]
    assert all(answer.label in _NAMES for answer in answers)
    for signature in ("serving_default", "embed", "explain"):
        together = served.run(signature, {"text": _strings([*_ODD, *_TEXTS])})
        for row, text in enumerate(_ODD):
            alone = served.run(signature, {"text": _strings([text])})
            for name, values in alone.items():
                if values.dtype == object:
                    continue
                width = values.shape[1]
                np.testing.assert_allclose(
                    together[name][row, :width], values[0], atol=1e-5
                )


def test_bad_example_is_an_error(served):
    with pytest.raises(NativeError):
        served.run("classify", {"inputs": np.array([b"no example"], object)})


def test_encoder_may_be_a_function_with_a_layer(text_model, vocabulary, tmp_path):
    tokenizer = keras.layers.TextVectorization(
        standardize="lower", vocabulary=vocabulary[2:], ragged=True
    )

    def encode(texts):
        ids = tf.cast(tokenizer(texts), tf.int32)
        tokens = ids[:, :12].to_tensor(0)
        return tf.concat([tf.maximum(tokens[:, :1], 1), tokens[:, 1:]], 1)

    inputs = keras.Input((None,), dtype="int32")
    logits = text_model("sum")(inputs)  # Neither `features` nor `embedding` within.
    path = export_text_classifier(
        keras.Model(inputs, logits),
        encode,
        tmp_path / "plain",
        task="classify-text",
        class_names=_NAMES,
        golden_texts=_TEXTS,
    )
    with NativeModel(path) as loaded:
        assert set(loaded.signatures) == {"serving_default", "classify"}
        answer = loaded.run("serving_default", {"text": _strings(_TEXTS)})
    expected = tf.nn.softmax(text_model("sum")(encode(tf.constant(_TEXTS))))
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-5)


def test_export_that_answers_otherwise_is_refused(
    model, word_encoder, tmp_path, monkeypatch
):
    honest = text_export._golden_requests

    def shifted(*arguments):
        golden = honest(*arguments)
        golden["embed"][1]["embedding"][0] += 0.01
        return golden

    monkeypatch.setattr(text_export, "_golden_requests", shifted)
    with pytest.raises(GateError, match=r"golden: .*`embed`.*0\.01"):
        export_text_classifier(
            model,
            word_encoder,
            tmp_path / "reviews",
            task="classify-text",
            class_names=_NAMES,
            golden_texts=_TEXTS,
        )
    assert not (tmp_path / "reviews").exists()


def test_wrong_shapes_are_refused_and_no_rows_get_no_answers(served, try_wrong_shapes):
    texts = [b"a good film", b"not very good"]
    examples = [bytes_example("text", text) for text in texts]
    rows = {"text": np.array(texts, object), "inputs": np.array(examples, object)}
    try_wrong_shapes(served, rows)
