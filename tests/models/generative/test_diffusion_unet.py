"""Tests of the diffusion model's U-Net."""

import keras
import numpy as np
import pytest

from modelyard.models import build_diffusion_unet
from modelyard.models.generative.diffusion_unet import SinusoidalEmbedding

SHAPE = (7, 9, 3)


def batch(shape=SHAPE, *, variances=(0.0, 0.3, 0.9, 1.0), labels=None):
    noisy = np.random.default_rng(0).normal(size=(len(variances), *shape))
    inputs = {
        "noisy": noisy.astype("float32"),
        "noise_variance": np.array(variances, "float32"),
    }
    if labels is not None:
        inputs["labels"] = np.array(labels, "int32")
    return inputs


def numpy(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def repeated(inputs):
    """The same noisy image throughout."""
    noisy = np.repeat(inputs["noisy"][:1], len(inputs["noisy"]), axis=0)
    return {**inputs, "noisy": noisy}


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (5, 13, 2), (1, 1, 1)]
)
def test_velocities_have_the_shape_of_the_images(shape):
    model = build_diffusion_unet(shape, widths=(4, 6, 8), blocks=1)
    # Weights that training moves away from 0.
    model.get_layer("velocity").kernel.assign(np.ones((3, 3, 4, shape[2])))
    answer = numpy(model, batch(shape))
    assert answer.shape == (4, *shape)
    assert answer.dtype == "float32"
    assert np.isfinite(answer).all()
    assert np.ptp(answer, axis=0).min() > 0


def test_untrained_model_predicts_0():
    model = build_diffusion_unet(SHAPE, widths=(4, 6), blocks=2)
    np.testing.assert_array_equal(numpy(model, batch()), np.zeros((4, *SHAPE)))


def test_noise_variance_changes_the_answer(shared):
    model = shared("diffusion_unet")
    inputs = repeated(batch(variances=(0, 0.001, 0.5, 1), labels=(1, 1, 1, 1)))
    answers = numpy(model, inputs)
    for other in (1, 2, 3):
        assert np.abs(answers[0] - answers[other]).max() > 0.01


def test_label_changes_the_answer_and_no_label_is_one_of_them(shared):
    model = shared("diffusion_unet")
    assert model.get_layer("label").embeddings.shape[0] == 4
    inputs = repeated(batch(variances=[0.5] * 4, labels=(0, 1, 2, 3)))
    answers = numpy(model, inputs)
    for i in range(3):
        for j in range(i):
            assert np.abs(answers[i] - answers[j]).max() > 0.01
    assert np.abs(answers[:3] - answers[3]).max((1, 2, 3)).min() > 0.01


def test_images_do_not_influence_each_other(shared):
    model = shared("diffusion_unet")
    inputs = batch(labels=(0, 1, 2, 3))
    alone = {key: value[1:2] for key, value in inputs.items()}
    both = [
        keras.ops.convert_to_numpy(model(x, training=True)) for x in (inputs, alone)
    ]
    np.testing.assert_allclose(both[0][1:2], both[1], atol=1e-4)


def test_every_block_on_the_way_down_has_a_skip():
    model = build_diffusion_unet(SHAPE, widths=(4, 6, 8), blocks=2)
    joins = [x for x in model.layers if x.name.startswith("join")]
    assert [x.name for x in joins] == ["join1_0", "join1_1", "join0_0", "join0_1"]
    channels = [[part.shape[-1] for part in x.input] for x in joins]
    assert channels == [[8, 6], [6, 6], [6, 4], [4, 4]]
    skips = [x.input[1]._keras_history.operation.name for x in joins]
    assert skips == ["down1_1_add", "down1_0_add", "down0_1_add", "down0_0_add"]


def test_blocks_are_those_asked_for():
    model = build_diffusion_unet(SHAPE, widths=(4, 6), blocks=3)
    assert len([x for x in model.layers if x.name.endswith("_add")]) == 9


@pytest.mark.usefixtures("mixed_bfloat16")
def test_velocities_are_float32_under_mixed_bfloat16():
    model = build_diffusion_unet(SHAPE, widths=(4, 6), blocks=1, num_classes=3)
    answer = model(batch(labels=(0, 1, 2, 3)))
    assert keras.backend.standardize_dtype(answer.dtype) == "float32"
    inner = model.get_layer("down0_0_add").output
    assert keras.backend.standardize_dtype(inner.dtype) == "bfloat16"
    # Rounded to bfloat16, neighbouring levels would have the same embedding.
    level = model.get_layer("sinusoids")
    close = level(np.array([0.5, 0.5005], "float32"))
    assert np.abs(close[0] - close[1]).max() > 0.1
    assert all(weight.dtype == "float32" for weight in model.weights)


def test_sinusoids_have_periods_from_1_to_a_thousandth():
    embedding = SinusoidalEmbedding(4)
    assert embedding.compute_output_shape((None,)) == (None, 8)
    found = embedding(np.array([0, 0.25, 0.0005], "float32"))
    expected = [[0, 1], [1, 0], [np.pi / 1000, 1]]
    np.testing.assert_allclose(np.asarray(found)[:, [0, 4]], expected, atol=1e-4)
    expected = [[0, 1], [0, 1], [0, -1]]
    np.testing.assert_allclose(np.asarray(found)[:, [3, 7]], expected, atol=1e-2)


def test_model_learns_the_velocity_of_one_image():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = build_diffusion_unet((4, 4, 1), widths=(8,), blocks=1)
    image = rng.uniform(-1, 1, (1, 4, 4, 1))
    noise = rng.normal(size=(64, 4, 4, 1))
    variance = rng.uniform(size=64)
    signal, sigma = (np.sqrt(x)[:, None, None, None] for x in (1 - variance, variance))
    inputs = {
        "noisy": (signal * image + sigma * noise).astype("float32"),
        "noise_variance": variance.astype("float32"),
    }
    velocity = signal * noise - sigma * image
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = [float(model.train_on_batch(inputs, velocity)) for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


def test_model_reloads_as_saved(build_filled, tmp_path):
    model = build_filled("diffusion_unet")
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = batch(labels=(0, 1, 2, 3))
    np.testing.assert_array_equal(numpy(reloaded, inputs), numpy(model, inputs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (8, 8)}, r"`image_shape` must be 3 .*image_shape=\(8, 8\)"),
        ({"widths": ()}, r"`widths` must be one or more.*widths=\(\)"),
        ({"widths": (4, 0)}, r"`widths` must .*widths=\(4, 0\)"),
        ({"blocks": 0}, r"`blocks` .*at least 1.*blocks=0"),
        ({"num_classes": -1}, r"`num_classes` .*at least 0.*num_classes=-1"),
    ],
)
def test_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build_diffusion_unet(**{"image_shape": (8, 8, 1), **options})
