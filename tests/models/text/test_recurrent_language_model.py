import keras
import numpy as np
import pytest
from keras import ops

from modelyard.models import (
    build_language_model_classifier,
    build_next_word_trainer,
    build_recurrent_language_model,
    build_text_cnn,
    copy_encoder_weights,
    language_model_sizes,
    unfreezing_groups,
)
from modelyard.models.layers.word_embedding import WordEmbedding

SIZES = {"embedding_dim": 4, "units": 5, "num_layers": 2}
TOKENS = np.array([[2, 3, 4, 5, 2, 3], [5, 4, 3, 0, 0, 0]], "int32")
NO_DROPOUT = {
    "word_dropout": 0.0,
    "embedding_dropout": 0.0,
    "dropout": 0.0,
    "weight_drop": 0.0,
}


def _model(**options):
    keras.utils.set_random_seed(0)
    return build_recurrent_language_model(8, **SIZES, **options)


def _logits(model, tokens):
    return ops.convert_to_numpy(model(tokens))


def test_each_word_has_logits_of_the_next_from_the_words_before():
    model = _model()
    assert model.output_shape == (None, None, 8)
    expected = _logits(model, TOKENS)
    assert expected.shape == (2, 6, 8)
    others = TOKENS.copy()
    others[:, 4:] = 7
    np.testing.assert_allclose(
        _logits(model, others)[:, :4], expected[:, :4], atol=1e-6
    )
    assert np.any(_logits(model, others)[:, 4:] != expected[:, 4:])
    padded = _logits(model, np.pad(TOKENS, ((0, 0), (0, 9))))
    is_word = TOKENS > 0
    np.testing.assert_allclose(padded[:, :6][is_word], expected[is_word], atol=1e-5)


def test_tied_logits_are_products_with_the_word_vectors():
    model = _model()
    states = keras.Model(model.input, model.get_layer("states").output)(TOKENS)
    vectors, bias = model.get_layer("embedding").get_weights()
    expected = ops.convert_to_numpy(states) @ vectors.T + bias
    np.testing.assert_allclose(_logits(model, TOKENS), expected, atol=1e-5)


def test_files_with_a_separate_output_matrix_still_load(tmp_path):
    layer = WordEmbedding(8, 4, decoder="own", name="embedding")
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, layer(layer(tokens), reverse=True))
    assert [weight.shape for weight in layer.weights] == [(8, 4), (8, 4), (8,)]
    vectors, output_vectors, _ = layer.get_weights()
    expected = vectors[TOKENS] @ output_vectors.T
    np.testing.assert_allclose(model(TOKENS), expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(TOKENS), model(TOKENS))


def test_loss_is_the_cross_entropy_of_the_next_words():
    model = _model()
    trainer = build_next_word_trainer(model, num_sampled=3)
    logits = _logits(model, TOKENS)[:, :-1]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = TOKENS[:, 1:]
    chosen = np.take_along_axis(probabilities, targets[..., None], -1)[..., 0]
    expected = -np.log(chosen[targets > 0]).mean()
    # Evaluation uses the whole vocabulary, even if training samples.
    np.testing.assert_allclose(trainer(TOKENS), [expected], rtol=1e-5)


def test_sampled_loss_is_near_the_exact_one():
    keras.utils.set_random_seed(0)
    model = build_recurrent_language_model(6, **SIZES, **NO_DROPOUT)
    embedding = model.get_layer("embedding")
    rng = np.random.default_rng(0)
    embedding.set_weights([rng.normal(0, 1.0, w.shape) for w in embedding.weights])
    tokens = rng.integers(1, 6, (20, 20), "int32")
    trainer = build_next_word_trainer(model, num_sampled=3000)
    exact = ops.convert_to_numpy(trainer(tokens))
    sampled = ops.convert_to_numpy(trainer(tokens, training=True))
    assert np.any(exact != sampled)
    np.testing.assert_allclose(sampled, exact, rtol=0.05)


@pytest.mark.parametrize("num_sampled", [None, 3])
def test_trainer_trains_every_weight_of_the_model(num_sampled):
    model = _model()
    trainer = build_next_word_trainer(model, num_sampled=num_sampled)
    trainer.compile(keras.optimizers.Adam(0.02), run_eagerly=True)
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    assert len(trainer.trainable_weights) == len(before)
    exact = float(ops.convert_to_numpy(trainer(TOKENS))[0])
    trainer.fit(TOKENS, epochs=5, batch_size=2, verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
    assert float(ops.convert_to_numpy(trainer(TOKENS))[0]) < exact


def test_word_dropout_drops_words_everywhere():
    embedding = _model(word_dropout=0.5).get_layer("embedding")
    tokens = np.tile(np.arange(8), (2, 1))
    first, second = ops.convert_to_numpy(embedding(tokens, training=True))
    np.testing.assert_array_equal(first, second)
    vectors = embedding.get_weights()[0]
    is_dropped = np.all(first == 0, axis=-1)
    assert 0 < is_dropped.sum() < 8
    np.testing.assert_allclose(first[~is_dropped], 2 * vectors[~is_dropped], rtol=1e-5)
    np.testing.assert_allclose(embedding(tokens)[0], vectors, rtol=1e-6)


def test_classifier_pools_the_states_of_the_copied_encoder():
    language_model = _model()
    model = build_language_model_classifier(8, 3, **SIZES, hidden_units=6)
    copy_encoder_weights(language_model, model)
    states = keras.Model(
        language_model.input, language_model.get_layer("states").output
    )(TOKENS)
    states = ops.convert_to_numpy(states)
    pool = keras.Model(model.input, model.get_layer("pool").output)(TOKENS)
    for text, row, length in zip(states, pool, (6, 3), strict=True):
        text = text[:length]
        expected = np.concatenate([text[-1], text.max(0), text.mean(0)])
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert model(TOKENS).shape == (2, 3)
    padded = np.pad(TOKENS, ((0, 0), (0, 9)))
    np.testing.assert_allclose(model(padded), model(TOKENS), atol=1e-5)


def test_groups_hold_all_weights_from_the_top_down():
    model = build_language_model_classifier(8, 3, **SIZES)
    groups = unfreezing_groups(model)
    assert groups == [
        ["features", "logits"],
        ["recurrent1"],
        ["recurrent0"],
        ["embedding"],
    ]
    named = {name for group in groups for name in group}
    assert named == {layer.name for layer in model.layers if layer.weights}


def test_sizes_are_those_it_was_built_with():
    assert language_model_sizes(_model()) == SIZES
    one = build_language_model_classifier(8, 3, embedding_dim=4, num_layers=1)
    sizes = {"embedding_dim": 4, "units": 4, "num_layers": 1}
    assert language_model_sizes(one) == sizes


@pytest.mark.parametrize(
    "case", ["language_model", "language_model_classifier", "next_word_trainer"]
)
def test_models_reload(case, shared, tmp_path):
    model = shared(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(TOKENS), model(TOKENS))


def test_reloaded_trainer_trains_the_embedding_that_it_reads(shared, tmp_path):
    shared("next_word_trainer").save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loss = loaded.get_layer("next_word_loss")
    assert loss.embedding is loaded.get_layer("embedding")


def test_other_models_and_sizes_are_refused():
    cnn = build_text_cnn(8, 2)
    with pytest.raises(ValueError, match=r"`model` must come from .*'text_cnn'"):
        build_next_word_trainer(cnn)
    model = build_language_model_classifier(8, 3, embedding_dim=4, units=6)
    with pytest.raises(ValueError, match=r"`source` must .*recurrent0 .* \(4, 20\)"):
        copy_encoder_weights(_model(), model)
    with pytest.raises(ValueError, match=r"`num_sampled` must .*num_sampled=0"):
        build_next_word_trainer(_model(), num_sampled=0)
    with pytest.raises(ValueError, match=r"`weight_drop` must .*weight_drop=1"):
        _model(weight_drop=1)
    with pytest.raises(ValueError, match=r"`units` must .*units=0"):
        build_recurrent_language_model(8, units=0)
