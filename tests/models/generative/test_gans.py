"""Tests of generators and discriminators."""

import keras
import numpy as np
import pytest

from modelyard.models import (
    build_dcgan_discriminator,
    build_dcgan_generator,
    build_residual_discriminator,
    build_residual_generator,
)

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (5, 13, 2), (1, 1, 1)]
GENERATORS = {"dcgan": build_dcgan_generator, "residual": build_residual_generator}
DISCRIMINATORS = {
    "dcgan": build_dcgan_discriminator,
    "residual": build_residual_discriminator,
}
both_families = pytest.mark.parametrize("family", GENERATORS)
all_halves = pytest.mark.parametrize(
    "build", [*GENERATORS.values(), *DISCRIMINATORS.values()]
)


def latents(count=4, size=5, scale=1.0):
    values = np.random.default_rng(0).normal(0, scale, (count, size))
    return values.astype("float32")


def pixels(shape=(7, 9, 3), count=4):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), "uint8")


def labels(*values):
    return np.array(values, "int32")


def numpy(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@both_families
@pytest.mark.parametrize("shape", SHAPES)
def test_generator_makes_pixels_of_any_size(family, shape):
    model = GENERATORS[family](shape, latent_size=5, widths=(8, 4))
    images = numpy(model, latents(scale=50))
    assert model.input_shape == (None, 5)
    assert images.shape == (4, *shape)
    assert images.dtype == "float32"
    assert 0 <= images.min() < images.max() <= 255


@both_families
@pytest.mark.parametrize(
    ("shape", "spectral"),
    list(zip(SHAPES, [False, False, True, True, True], strict=True)),
)
def test_discriminator_gives_one_logit_for_each_image(family, shape, spectral):
    model = DISCRIMINATORS[family](
        shape, widths=(4, 8), spectral_normalization=spectral
    )
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None,)
    logits = numpy(model, pixels(shape))
    assert logits.shape == (4,)
    assert logits.dtype == "float32"
    assert np.ptp(logits) > 0
    # Neither the dtype of the pixels nor the other images matter.
    alone = numpy(model, pixels(shape)[:1].astype("float32"))
    np.testing.assert_allclose(alone, logits[:1], atol=1e-4)


@both_families
def test_latents_change_the_whole_image(shared, family):
    model = shared(f"{family}_generator")
    first, second = numpy(
        model, {"latent": latents(2, scale=3), "labels": labels(0, 0)}
    )
    assert np.mean(first != second) > 0.99


@both_families
def test_label_changes_the_image(shared, family):
    model = shared(f"{family}_generator")
    same = np.repeat(latents(1), 3, axis=0)
    images = numpy(model, {"latent": same, "labels": labels(0, 1, 2)})
    for other in (1, 2):
        assert np.abs(images[0] - images[other]).max() > 1


@both_families
@pytest.mark.parametrize("spectral", [False, True])
def test_label_enters_the_discriminator_as_a_projection(family, spectral):
    model = DISCRIMINATORS[family](
        (7, 9, 3), widths=(4, 6), num_classes=3, spectral_normalization=spectral
    )
    features = keras.Model(model.input, model.get_layer("features").output)
    inputs = {"pixels": pixels(), "labels": labels(0, 1, 2, 1)}
    found = numpy(features, inputs)
    layers = [
        model.get_layer(f"{name}_spectral" if spectral else name)
        for name in ("score", "class_scores")
    ]
    scores, class_scores = (numpy(layer, found) for layer in layers)
    assert class_scores.shape == (4, 3)
    chosen = class_scores[np.arange(4), inputs["labels"]]
    assert np.abs(chosen).min() > 1e-3
    np.testing.assert_allclose(numpy(model, inputs), scores[:, 0] + chosen, rtol=1e-4)


def test_residual_features_are_sums_over_the_positions():
    # After a mean, spectral normalisation would keep the logits small.
    model = build_residual_discriminator((7, 9, 3), widths=(4, 6))
    maps = keras.Model(model.input, model.get_layer("last_relu").output)
    features = keras.Model(model.input, model.get_layer("features").output)
    assert maps.output_shape == (None, 2, 3, 6)
    expected = numpy(maps, pixels()).sum(axis=(1, 2))
    np.testing.assert_allclose(numpy(features, pixels()), expected, rtol=1e-4)


@both_families
def test_pixels_are_scaled_inside(family):
    model = DISCRIMINATORS[family]((7, 9, 3), widths=(4,))
    scaled = keras.Model(model.input, model.get_layer("rescale").output)
    np.testing.assert_allclose(numpy(scaled, pixels()), pixels() / 127.5 - 1, atol=1e-6)


@both_families
def test_sides_and_filters_are_those_of_the_widths(family):
    generator = GENERATORS[family]((28, 20, 1), latent_size=5, widths=(8, 6, 4))
    assert generator.get_layer("start_maps").output.shape[1:] == (4, 3, 8)
    cropped = generator.get_layer("crop")
    assert cropped.input.shape[1:3] == (32, 24)
    assert cropped.output.shape[1:3] == (28, 20)
    np.testing.assert_array_equal(cropped.cropping, [(2, 2), (2, 2)])
    discriminator = DISCRIMINATORS[family]((28, 20, 1), widths=(4, 6, 8))
    last = {"dcgan": "down2_relu", "residual": "last_relu"}[family]
    assert discriminator.get_layer(last).output.shape[1:] == (4, 3, 8)


@both_families
def test_discriminator_has_no_batch_normalization(family):
    layers = DISCRIMINATORS[family]((7, 9, 3), num_classes=3).layers
    assert not [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]


@both_families
@pytest.mark.usefixtures("mixed_bfloat16")
@pytest.mark.parametrize("spectral", [False, True])
def test_outputs_are_float32_under_mixed_bfloat16(family, spectral):
    generator = GENERATORS[family](
        (7, 9, 3), latent_size=5, widths=(4, 6), num_classes=3
    )
    discriminator = DISCRIMINATORS[family](
        (7, 9, 3), widths=(4, 6), num_classes=3, spectral_normalization=spectral
    )
    classes = labels(0, 1, 2, 1)
    images = generator({"latent": latents(), "labels": classes})
    # Finer than bfloat16, which has steps of 1 between 128 and 255.
    assert np.mean(np.asarray(images) % 1 != 0) > 0.5
    both = {"pixels": images, "labels": keras.ops.convert_to_tensor(classes)}
    logits = discriminator(both, training=True)
    for output in (images, logits):
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
        assert np.isfinite(keras.ops.convert_to_numpy(output)).all()
    maps = {"dcgan": "down1_relu", "residual": "down1_add"}[family]
    for inner in (
        generator.get_layer("start_relu" if family == "dcgan" else "up0_add"),
        discriminator.get_layer(maps),
    ):
        assert keras.backend.standardize_dtype(inner.output.dtype) == "bfloat16"
    for weight in (*generator.weights, *discriminator.weights):
        assert weight.dtype == "float32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses its tapes")
@both_families
@pytest.mark.parametrize("spectral", [False, True])
def test_gradient_of_the_discriminator_can_be_penalized(family, spectral):
    import tensorflow as tf

    model = DISCRIMINATORS[family](
        (7, 9, 3), widths=(4, 6), num_classes=3, spectral_normalization=spectral
    )
    weights = model.trainable_weights

    @tf.function
    def penalty_gradients(images, classes):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(images)
                inputs = {"pixels": images, "labels": classes}
                logits = tf.reduce_sum(model(inputs, training=True))
            gradient = 127.5 * inner.gradient(logits, images)
            penalty = tf.reduce_mean(tf.reduce_sum(gradient**2, axis=(1, 2, 3)))
        return penalty, outer.gradient(penalty, [w.value for w in weights])

    images = tf.constant(pixels().astype("float32"))
    penalty, gradients = penalty_gradients(images, labels(0, 1, 2, 1))
    assert 1e-6 < penalty < 1e6
    found = {w.path: g for w, g in zip(weights, gradients, strict=True)}
    kernels = [path for path in found if path.endswith("kernel")]
    assert len(kernels) == {"dcgan": 4, "residual": 8}[family]
    for path in kernels:
        assert np.isfinite(found[path]).all(), path
        assert np.abs(found[path]).max() > 0, path


@both_families
def test_spectral_norm_of_every_kernel_is_one(family):
    model = DISCRIMINATORS[family](
        (7, 9, 3), widths=(4, 6), num_classes=3, spectral_normalization=True
    )
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    wrapped = [x for x in model.layers if x.name.endswith("_spectral")]
    assert len(wrapped) == len(kernels)
    inputs = {"pixels": pixels(), "labels": labels(0, 1, 2, 1)}
    for _ in range(20):
        model(inputs, training=True)
    for layer in wrapped:
        kernel = keras.ops.convert_to_numpy(layer.layer.kernel)
        norm = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[1][0]
        assert abs(norm - 1) > 0.01, "the kernel itself stays as it is"
        ones = np.ones((1, *layer.input.shape[1:]), "float32")
        bias = numpy(layer, 0 * ones)
        ratio = (numpy(layer.layer, ones) - bias) / (numpy(layer, ones) - bias)
        np.testing.assert_allclose(ratio, norm, rtol=0.05, err_msg=layer.name)


@both_families
def test_conditional_halves_reload_as_saved(build_filled, family, tmp_path):
    for half, inputs in (
        ("generator", {"latent": latents()}),
        ("discriminator", {"pixels": pixels()}),
    ):
        model = build_filled(f"{family}_{half}")
        inputs["labels"] = labels(0, 1, 2, 1)
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(numpy(reloaded, inputs), numpy(model, inputs))


@all_halves
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (8, 8)}, r"`image_shape` must be 3 .*image_shape=\(8, 8\)"),
        ({"image_shape": (8, 0, 1)}, r"`image_shape` must be .*=\(8, 0, 1\)"),
        ({"widths": ()}, r"`widths` must be one or more.*widths=\(\)"),
        ({"widths": (4, 0)}, r"`widths` must .*widths=\(4, 0\)"),
        ({"num_classes": -1}, r"`num_classes` .*at least 0.*num_classes=-1"),
        ({"num_classes": 2.5}, r"`num_classes` must be an integer.*=2\.5"),
    ],
)
def test_bad_argument_is_named(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**{"image_shape": (8, 8, 1), **options})


@both_families
def test_bad_latent_size_is_named(family):
    with pytest.raises(ValueError, match=r"`latent_size` .*at least 1.*=0"):
        GENERATORS[family]((8, 8, 1), latent_size=0)
