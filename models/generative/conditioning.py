"""Scales and shifts of feature maps that depend on a condition (FiLM)."""

from keras import layers


def modulate(x, condition, *, name):
    """Scales and shifts each channel by numbers computed from a condition.

    Untrained, the scales are near 1 and the shifts near 0.

    Args:
        x: Feature maps `(batch, height, width, channels)`.
        condition: Vectors `(batch, size)`.
        name: Prefix of the layer names.

    Returns:
        Feature maps of the same shape.

    Reference:
        [Perez et al., 2018](https://arxiv.org/abs/1709.07871) (FiLM)
    """
    channels = x.shape[-1]
    scale = layers.Dense(channels, bias_initializer="ones", name=f"{name}_scale")
    shift = layers.Dense(channels, name=f"{name}_shift")
    scales, shifts = (
        layers.Reshape((1, 1, channels), name=f"{dense.name}_maps")(dense(condition))
        for dense in (scale, shift)
    )
    x = layers.Multiply(name=f"{name}_scaled")([x, scales])
    return layers.Add(name=f"{name}_shifted")([x, shifts])
