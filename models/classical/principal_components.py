"""Principal component analysis of images as a Keras model."""

import keras
import numpy as np
from keras import layers

from modelyard.models.checks import check_integer, check_sizes

_PEAK = 255.0


def build_principal_components(
    input_shape: tuple[int, int, int],
    code_size: int,
    *,
    name: str = "principal_components",
) -> keras.Model:
    """Builds a linear encoder and decoder; `fit_principal_components` sets them.

    Args:
        input_shape: `(height, width, channels)`, any positive sizes.
        code_size: Numbers of a code, from 1 to the number of pixel values.
        name: Model name.

    Returns:
        An uncompiled model from pixels `(batch, height, width, channels)` in
        [0, 255] to float32 reconstructions of the same shape and range. The layer
        `code` gives the codes `(batch, code_size)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> model = build_principal_components((8, 8, 1), 4)
        >>> fit_principal_components(model, np.random.rand(20, 8, 8, 1) * 255)
        >>> model.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape
        (2, 8, 8, 1)

    Reference:
        [Pearson, 1901](https://doi.org/10.1080/14786440109462720)
    """
    check_sizes("input_shape", input_shape, length=3)
    size = int(np.prod(input_shape))
    check_integer("code_size", code_size, minimum=1, maximum=size)
    inputs = keras.Input(input_shape, name="pixels")
    x = layers.Rescaling(1 / _PEAK, name="rescale")(inputs)
    x = layers.Flatten(name="flatten")(x)
    code = layers.Dense(code_size, dtype="float32", name="code")(x)
    x = layers.Dense(size, dtype="float32", name="values")(code)
    x = layers.Rescaling(_PEAK, dtype="float32", name="to_pixels")(x)
    x = layers.Reshape(input_shape, name="reshape")(x)
    outputs = layers.ReLU(_PEAK, dtype="float32", name="clip")(x)
    return keras.Model(inputs, outputs, name=name)


def fit_principal_components(
    model: keras.Model, images: np.ndarray, *, seed: int = 0
) -> None:
    """Sets the weights to the principal components of images.

    Args:
        model: A model of `build_principal_components`.
        images: Pixels `(n, height, width, channels)` in [0, 255], at least as many
            images as a code has numbers.
        seed: Seed of the randomised decomposition.

    Raises:
        ValueError: If there are fewer images than numbers in a code.

    Reference:
        [Halko et al., 2011](https://arxiv.org/abs/0909.4061) (the decomposition)
    """
    from sklearn.decomposition import PCA  # Slow to import.

    code_size = model.get_layer("code").units
    if len(images) < code_size:
        raise ValueError(
            f"`images` must be at least {code_size}, the numbers of a code. "
            f"Received: {len(images)} images"
        )
    values = images.reshape(len(images), -1).astype("float32") / _PEAK
    found = PCA(code_size, random_state=seed).fit(values)
    components = found.components_
    model.get_layer("code").set_weights([components.T, -components @ found.mean_])
    model.get_layer("values").set_weights([components, found.mean_])
