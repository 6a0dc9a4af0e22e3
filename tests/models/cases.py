"""Small models from every builder, by a name for the test, and inputs for them."""

import functools

import keras
import numpy as np

from modelyard.models import (
    build_blind_denoiser,
    build_colorizer,
    build_convnet,
    build_dcgan_discriminator,
    build_dcgan_generator,
    build_denoising_autoencoder,
    build_diffusion_unet,
    build_fast_cifar_net,
    build_image_autoencoder,
    build_language_model_classifier,
    build_lenet,
    build_mlp,
    build_next_word_trainer,
    build_ngram_classifier,
    build_perceptron,
    build_picture_colorizer,
    build_principal_components,
    build_recurrent_classifier,
    build_recurrent_language_model,
    build_residual_cnn,
    build_residual_denoiser,
    build_residual_discriminator,
    build_residual_generator,
    build_super_resolver,
    build_text_cnn,
    build_transfer_classifier,
    build_transformer_classifier,
    build_wide_resnet,
)

SHAPE = (12, 12, 1)
VOCABULARY = 30
PIXELS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), "uint8")
# An odd size, for networks that read pictures of any size.
COLORS = np.random.default_rng(0).integers(0, 256, (4, 7, 9, 3), "uint8")
PALETTE = np.array([[0, 0], [60, 40], [-50, 40], [20, -60]], "float32")
NOISE_LEVELS = np.array([5, 15, 25, 50], "float32")
# For generative models.
LATENTS = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
LABELS = np.arange(4, dtype="int32") % 3
# Texts of 11, 5, 1 and 9 words.
TOKENS = np.random.default_rng(0).integers(1, VOCABULARY, (4, 11), "int32")
TOKENS[np.arange(11) >= [[11], [5], [1], [9]]] = 0

_image = {"input_shape": SHAPE, "num_classes": 3}
_denoiser = functools.partial(build_residual_denoiser, 3, depth=4, width=6)
_noise_map = functools.partial(_denoiser, noise_map=True)
_colorizer = functools.partial(build_colorizer, widths=(4, 6))
_text = {"vocabulary_size": VOCABULARY, "num_classes": 3}
_mlp = functools.partial(build_mlp, **_image, hidden_units=(8, 6))
_cnn = functools.partial(build_text_cnn, **_text, embedding_dim=6, filters=3)
_ngram = functools.partial(build_ngram_classifier, **_text, buckets=64)
_rnn = functools.partial(build_recurrent_classifier, **_text, embedding_dim=6, units=5)
_transformer = functools.partial(
    build_transformer_classifier, **_text, embedding_dim=8, num_heads=2
)
_language_model = functools.partial(
    build_recurrent_language_model, VOCABULARY, embedding_dim=4, units=5
)

IMAGES = {
    "perceptron": functools.partial(build_perceptron, **_image),
    "mlp": _mlp,
    "binary_step": functools.partial(_mlp, activation="binary_step"),
    "lenet": functools.partial(build_lenet, **_image),
    "convnet": functools.partial(build_convnet, **_image, widths=(4, 5, 6)),
    "residual_cnn": functools.partial(
        build_residual_cnn, **_image, blocks_per_stage=1, widths=(4, 6)
    ),
    "wide_resnet": functools.partial(build_wide_resnet, **_image, depth=10, width=1),
    "fast_cifar_net": functools.partial(
        build_fast_cifar_net, **_image, widths=(4, 5, 6)
    ),
    "transfer": functools.partial(
        build_transfer_classifier,
        "efficientnet_lite0",
        **_image,
        image_size=40,
        weights=None,
    ),
    "image_autoencoder": functools.partial(
        build_image_autoencoder, SHAPE, 4, widths=(4,)
    ),
    "principal_components": functools.partial(build_principal_components, SHAPE, 4),
}

PICTURES = {
    "plain_denoiser": functools.partial(_denoiser, shortcuts=False),
    "residual_denoiser": _denoiser,
    "residual_denoiser_full_size": functools.partial(_denoiser, downscale=1),
    "noise_map_denoiser": _noise_map,
    "blind_denoiser": lambda: build_blind_denoiser(_noise_map()),
    "denoising_autoencoder": functools.partial(
        build_denoising_autoencoder, 3, widths=(4,), code_filters=3
    ),
    "super_resolver": functools.partial(build_super_resolver, 3, 3, blocks=1, width=6),
    "colorizer": _colorizer,
    "color_distribution": functools.partial(_colorizer, num_colors=len(PALETTE)),
    "picture_colorizer": lambda: build_picture_colorizer(_colorizer(), short_side=5),
    "palette_colorizer": lambda: build_picture_colorizer(
        _colorizer(num_colors=len(PALETTE)), short_side=5, colors=PALETTE
    ),
}

_generative = {"image_shape": (7, 9, 3), "widths": (4, 6), "num_classes": 3}
_generator = {**_generative, "latent_size": LATENTS.shape[1]}
_discriminator = {**_generative, "spectral_normalization": True}
GENERATIVE = {
    "dcgan_generator": functools.partial(build_dcgan_generator, **_generator),
    "dcgan_discriminator": functools.partial(
        build_dcgan_discriminator, **_discriminator
    ),
    "residual_generator": functools.partial(build_residual_generator, **_generator),
    "residual_discriminator": functools.partial(
        build_residual_discriminator, **_discriminator
    ),
    "diffusion_unet": functools.partial(build_diffusion_unet, **_generative, blocks=1),
}

TEXTS = {
    "ngram": _ngram,
    "ngram_trigrams": functools.partial(_ngram, ngrams=3),
    "ngram_words": functools.partial(_ngram, ngrams=1, unique=False),
    "ngram_vectors": functools.partial(_ngram, embedding_dim=4),
    "cnn": functools.partial(_cnn, l2=1e-3, dropout=0.0),
    "cnn_one_width": functools.partial(_cnn, widths=(2,), dropout=0.0),
    "rnn_last": functools.partial(_rnn, cell="simple_rnn", pooling="last"),
    "gru_mean": functools.partial(_rnn, cell="gru", pooling="mean"),
    "gru_forward_twice": functools.partial(
        _rnn, cell="gru", bidirectional=False, num_layers=2
    ),
    "lstm_last": functools.partial(_rnn, pooling="last"),
    "lstm_max": functools.partial(_rnn, pooling="max"),
    "lstm_max_mean": functools.partial(_rnn, pooling="max_mean"),
    "lstm_attention": functools.partial(_rnn, pooling="attention"),
    "lstm_ngrams": functools.partial(_rnn, ngrams=3, buckets=64),
    "lstm_forward": functools.partial(_rnn, bidirectional=False, pooling="last"),
    "lstm_twice": functools.partial(
        _rnn, num_layers=2, embedding_dropout=0.3, dropout=0.3, weight_drop=0.3
    ),
    "transformer": functools.partial(_transformer, embedding_dropout=0.1),
    "transformer_attention": functools.partial(
        _transformer, pooling="attention", num_layers=1
    ),
    "transformer_ngrams": functools.partial(_transformer, ngrams=2, buckets=64),
    "fourier": functools.partial(_transformer, mixing="fourier", pooling="max_mean"),
}

LANGUAGE_MODELS = {
    "language_model": _language_model,
    "language_model_classifier": functools.partial(
        build_language_model_classifier, **_text, embedding_dim=4, units=5
    ),
    "next_word_trainer": lambda: build_next_word_trainer(
        _language_model(), num_sampled=4
    ),
}

CASES = {**IMAGES, **PICTURES, **GENERATIVE, **TEXTS, **LANGUAGE_MODELS}


def inputs_of(name):
    """Returns a batch for the model of that name; a dictionary for several inputs."""
    if name == "noise_map_denoiser":
        return {"pixels": COLORS, "noise_level": NOISE_LEVELS}
    if name in GENERATIVE:
        return _generative_inputs(name)
    if name in PICTURES:
        return COLORS
    return PIXELS if name in IMAGES else TOKENS


def _generative_inputs(name):
    """A batch with labels; for the diffusion model, one of them is unknown."""
    if name.endswith("generator"):
        return {"latent": LATENTS, "labels": LABELS}
    if name.endswith("discriminator"):
        return {"pixels": COLORS, "labels": LABELS}
    variances = np.array([0, 0.3, 0.9, 1], "float32")
    noisy = COLORS.astype("float32") / 127.5 - 1
    return {"noisy": noisy, "noise_variance": variances, "labels": np.flip(LABELS) + 1}


def fill(model):
    """Sets the weights that start as zeros or ones, as training would leave them."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        # A table of n-grams starts with random rows for the words alone.
        is_plain = value.dtype.kind == "f" and np.ptp(value) == 0
        if is_plain or weight.name == "table":
            # Vectors, such as variances, around 0.5; matrices as initializers do.
            mean, spread = 0.5, 0.1
            if value.ndim > 1:
                mean, spread = 0.0, np.prod(value.shape[:-1]) ** -0.5
            weight.assign(rng.normal(mean, spread, value.shape))


def predict(model, inputs):
    """Returns the outputs at inference, without compiling."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))
