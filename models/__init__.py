"""Keras model builders for any Keras backend.

Each builder returns an uncompiled functional `keras.Model` with float32 outputs.
Image models read raw pixels in [0, 255] and scale them inside the model; text models
read int32 token ids, padded with 0. In classifiers, the layer named `features` outputs
the vector that the logits are computed from. Import this package before loading a saved
`.keras` file; then no `custom_objects` are needed.
"""

from collections.abc import Callable

import keras

from modelyard.models.classical.principal_components import (
    build_principal_components,
    fit_principal_components,
)
from modelyard.models.generative.dcgan import (
    build_dcgan_discriminator,
    build_dcgan_generator,
)
from modelyard.models.generative.diffusion_unet import build_diffusion_unet
from modelyard.models.generative.residual_gan import (
    build_residual_discriminator,
    build_residual_generator,
)
from modelyard.models.layers.activations import (
    ACTIVATIONS,
    binary_step,
    gelu_tanh,
    get_activation,
)
from modelyard.models.layers.color import (
    LabToPixels,
    Lightness,
    lab_to_pixels,
    pixels_to_lab,
)
from modelyard.models.layers.fast_lstm import FastLSTM
from modelyard.models.layers.ngram_embedding import NgramEmbedding, set_word_vectors
from modelyard.models.layers.picture_sizes import (
    BicubicUpscaling,
    CropLike,
    PadToMultiple,
    ResizeLike,
    ShrinkShortSide,
)
from modelyard.models.text.ngram_classifier import (
    build_ngram_classifier,
    set_naive_bayes_scales,
)
from modelyard.models.text.recurrent_classifier import build_recurrent_classifier
from modelyard.models.text.recurrent_language_model import (
    build_language_model_classifier,
    build_next_word_trainer,
    build_recurrent_language_model,
    copy_encoder_weights,
    language_model_sizes,
    unfreezing_groups,
)
from modelyard.models.text.text_cnn import build_text_cnn
from modelyard.models.text.transformer_classifier import build_transformer_classifier
from modelyard.models.vision.colorizer import (
    ChromaError,
    ColorCrossentropy,
    build_colorizer,
    build_picture_colorizer,
    quantized_colors,
    rebalancing_weights,
)
from modelyard.models.vision.convnet import build_convnet
from modelyard.models.vision.denoisers import (
    build_blind_denoiser,
    build_denoising_autoencoder,
    build_residual_denoiser,
)
from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.fast_cifar_net import build_fast_cifar_net, whiten_patches
from modelyard.models.vision.image_autoencoder import build_image_autoencoder
from modelyard.models.vision.lenet import build_lenet
from modelyard.models.vision.perceptrons import build_mlp, build_perceptron
from modelyard.models.vision.residual_cnn import build_residual_cnn
from modelyard.models.vision.super_resolver import build_super_resolver
from modelyard.models.vision.transfer_classifier import build_transfer_classifier
from modelyard.models.vision.wide_resnet import build_wide_resnet

# Builders of image classifiers with the arguments `(input_shape, num_classes)`.
BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "perceptron": build_perceptron,
    "mlp": build_mlp,
    "lenet": build_lenet,
    "convnet": build_convnet,
    "residual_cnn": build_residual_cnn,
    "wide_resnet": build_wide_resnet,
    "fast_cifar_net": build_fast_cifar_net,
}

__all__ = [
    "ACTIVATIONS",
    "BUILDERS",
    "BicubicUpscaling",
    "ChromaError",
    "ColorCrossentropy",
    "CropLike",
    "FastLSTM",
    "LabToPixels",
    "Lightness",
    "NgramEmbedding",
    "PadToMultiple",
    "ResizeLike",
    "ShrinkShortSide",
    "binary_step",
    "build_blind_denoiser",
    "build_colorizer",
    "build_convnet",
    "build_dcgan_discriminator",
    "build_dcgan_generator",
    "build_denoising_autoencoder",
    "build_diffusion_unet",
    "build_efficientnet_lite",
    "build_fast_cifar_net",
    "build_image_autoencoder",
    "build_language_model_classifier",
    "build_lenet",
    "build_mlp",
    "build_next_word_trainer",
    "build_ngram_classifier",
    "build_perceptron",
    "build_picture_colorizer",
    "build_principal_components",
    "build_recurrent_classifier",
    "build_recurrent_language_model",
    "build_residual_cnn",
    "build_residual_denoiser",
    "build_residual_discriminator",
    "build_residual_generator",
    "build_super_resolver",
    "build_text_cnn",
    "build_transfer_classifier",
    "build_transformer_classifier",
    "build_wide_resnet",
    "copy_encoder_weights",
    "fit_principal_components",
    "gelu_tanh",
    "get_activation",
    "lab_to_pixels",
    "language_model_sizes",
    "pixels_to_lab",
    "quantized_colors",
    "rebalancing_weights",
    "set_naive_bayes_scales",
    "set_word_vectors",
    "unfreezing_groups",
    "whiten_patches",
]
