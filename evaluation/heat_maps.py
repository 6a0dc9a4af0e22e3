"""Image regions that a classifier's prediction is based on: class activation maps."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

_BATCH = 64
# From pixels to logits and heat maps, as tensors of the Keras backend.
Explainer = Callable[[Any], tuple[Any, Any]]


def make_explainer(model: keras.Model) -> Explainer:
    """Makes a function that explains predictions with heat maps.

    With a linear head on averaged maps, Grad-CAM equals the class activation map: the
    gradient of a class's logit with respect to map `c` is the same at every position,
    namely the head's weight for `c` divided by the number of positions. No gradient
    needs to be computed, so the function can be exported.

    Args:
        model: Classifier from pixels in [0, 255] whose layer `maps` returns
            `(batch, rows, columns, channels)`, which are averaged over the positions,
            and whose layer `logits` is dense.

    Returns:
        A function from float32 pixels `(batch, height, width, channels)` to a pair of
        logits `(batch, num_classes)` and float32 heat maps `(batch, height, width)` in
        [0, 1] for the classes with the highest logits: 1 at the strongest evidence for
        the class, 0 where there is none.

    Reference:
        [Selvaraju et al., 2017](https://arxiv.org/abs/1610.02391) (Grad-CAM),
        [Zhou et al., 2016](https://arxiv.org/abs/1512.04150) (class activation maps)
    """
    height, width = model.input_shape[1:3]
    head = model.get_layer("logits")
    inner = keras.Model(model.input, [model.get_layer("maps").output, model.output])

    def explain(pixels):
        maps, logits = inner(pixels, training=False)
        # One row of weights per image.
        weights = ops.take(ops.transpose(head.kernel), ops.argmax(logits, -1), axis=0)
        heat = ops.einsum("bhwc,bc->bhw", ops.cast(maps, "float32"), weights)
        heat = ops.relu(heat)[..., None]
        heat = ops.image.resize(heat, (height, width), interpolation="bilinear")
        highest = ops.max(heat, axis=(1, 2, 3), keepdims=True)
        # Without any evidence for a class, the map stays zero.
        heat = heat / ops.where(highest > 0, highest, ops.ones_like(highest))
        return logits, heat[..., 0]

    return explain


def explain_images(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Computes the heat maps of images.

    Args:
        model: As for `make_explainer`.
        images: uint8 `(n, height, width, channels)`.

    Returns:
        float32 `(n, height, width)` in [0, 1].
    """
    explain = make_explainer(model)
    batches = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
    found = [explain(batch.astype("float32"))[1] for batch in batches]
    return np.concatenate([ops.convert_to_numpy(heat) for heat in found])
