"""Keras model builders, on any Keras backend.

Every builder returns an uncompiled functional `keras.Model` to float32 logits:
those in `BUILDERS` from raw pixels in [0, 255], with the scaling inside, those in
`TEXT_BUILDERS` from int32 tokens, where 0 is padding. The layer named `features`
holds the vector that the logits are computed from. Saved `.keras` files reload
without `custom_objects` once this package is imported.
"""

from collections.abc import Callable

from modelyard.models.layers.activations import (
    ACTIVATIONS,
    binary_step,
    gelu_tanh,
    get_activation,
)
from modelyard.models.layers.fast_lstm import FastLSTM
from modelyard.models.layers.ngram_embedding import NgramEmbedding, set_word_vectors
from modelyard.models.text.ngram_classifier import (
    build_ngram_classifier,
    set_naive_bayes_scales,
    word_contributions,
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
from modelyard.models.vision.convnet import build_convnet
from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.fast_cifar_net import build_fast_cifar_net, whiten_patches
from modelyard.models.vision.lenet import build_lenet
from modelyard.models.vision.perceptrons import build_mlp, build_perceptron
from modelyard.models.vision.residual_cnn import build_residual_cnn
from modelyard.models.vision.transfer_classifier import build_transfer_classifier
from modelyard.models.vision.wide_resnet import build_wide_resnet

BUILDERS: dict[str, Callable] = {
    "perceptron": build_perceptron,
    "mlp": build_mlp,
    "lenet": build_lenet,
    "convnet": build_convnet,
    "residual_cnn": build_residual_cnn,
    "wide_resnet": build_wide_resnet,
    "fast_cifar_net": build_fast_cifar_net,
}

TEXT_BUILDERS: dict[str, Callable] = {
    "ngram_classifier": build_ngram_classifier,
    "text_cnn": build_text_cnn,
    "recurrent_classifier": build_recurrent_classifier,
    "transformer_classifier": build_transformer_classifier,
}

__all__ = [
    "ACTIVATIONS",
    "BUILDERS",
    "TEXT_BUILDERS",
    "FastLSTM",
    "NgramEmbedding",
    "binary_step",
    "build_convnet",
    "build_efficientnet_lite",
    "build_fast_cifar_net",
    "build_language_model_classifier",
    "build_lenet",
    "build_mlp",
    "build_next_word_trainer",
    "build_ngram_classifier",
    "build_perceptron",
    "build_recurrent_classifier",
    "build_recurrent_language_model",
    "build_residual_cnn",
    "build_text_cnn",
    "build_transfer_classifier",
    "build_transformer_classifier",
    "build_wide_resnet",
    "copy_encoder_weights",
    "gelu_tanh",
    "get_activation",
    "language_model_sizes",
    "set_naive_bayes_scales",
    "set_word_vectors",
    "unfreezing_groups",
    "whiten_patches",
    "word_contributions",
]
