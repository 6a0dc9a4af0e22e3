"""Contribution of each word of a text to a prediction: integrated gradients."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

_STEPS = 64
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Attributions:
    """Contributions of the tokens of texts to the logits of their predicted classes.

    Attributes:
        values: float32 `(n, t)`, 0 for padding.
        logits: float32 `(n, num_classes)`.
        baseline_logits: float32 `(n, num_classes)`, the logits at the baseline: for
            texts of the same lengths whose words carry no information.
    """

    values: np.ndarray
    logits: np.ndarray
    baseline_logits: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """Completeness errors, float32 `(n,)`.

        With exact integration, the values of a text sum to the difference between the
        predicted class's logit and its baseline logit.
        """
        rows, targets = np.arange(len(self.logits)), self.logits.argmax(-1)
        change = (self.logits - self.baseline_logits)[rows, targets]
        return self.values.sum(-1) - change


class Attributor:
    """Explains a text classifier's predictions word by word.

    Computes integrated gradients of the highest logit, along a straight line from a
    baseline to the output of one layer, sampled at Gauss-Legendre points. The layer is:

    - a layer with the method `word_contributions(tokens)`, which returns the
      contribution of each token to the layer's output `(batch, dim)`, as `(batch, t,
      dim)`. The baseline is the output without these contributions. The attributions
      of a linear model are then exact;
    - otherwise the layer `embedding`, which returns a vector per token, `(batch, t,
      dim)`. The baseline is zero.

    Args:
        model: Functional model from int32 tokens `(batch, t)`, padded with 0 at the
            end, to logits. After that layer, it must depend on the tokens only
            through the layer's output and the positions of the padding.
        steps: Number of points on the line, at least 1.

    Raises:
        ValueError: If the model has no such layer, or if `steps` is below 1.

    Reference:
        [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365)
    """

    def __init__(self, model: keras.Model, *, steps: int = _STEPS):
        if steps < 1:
            raise ValueError(f"`steps` must be at least 1. Received: steps={steps}")
        self._layer = _find_layer(model)
        self._detour = _Detour(dtype=self._layer.dtype_policy, name="detour")
        self._model = _with_detour(model, self._layer, self._detour)
        points, weights = np.polynomial.legendre.leggauss(steps)  # On [-1, 1].
        rank = len(self._layer.output.shape)
        shape = (steps, *[1] * (rank - 1))
        self._points = ((points + 1) / 2).astype("float32").reshape(shape)
        self._weights = (weights / 2).astype("float32")

    def __call__(self, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Explains a batch with TensorFlow, eagerly or in an exported graph.

        Args:
            tokens: int32 `(n, t)`, at least one text.

        Returns:
            float32 logits `(n, num_classes)` and attributions `(n, t)` of the class
            with the highest logit.
        """
        logits = self._logits(tokens)
        width = tf.shape(tokens)[1]

        def explain(arguments):
            text, target = arguments
            # On its own, a text needs no padding.
            length = tf.maximum(1, tf.math.count_nonzero(text, dtype=tf.int32))
            values = self._explain_text(text[:length], target)
            return tf.pad(values, [[0, width - length]])

        # One text at a time: the points on its line are a batch already.
        values = tf.map_fn(
            explain,
            (tokens, tf.argmax(logits, -1, tf.int32)),
            fn_output_signature=tf.TensorSpec((None,), tf.float32),
            parallel_iterations=1,
        )
        return logits, values

    def explain(self, tokens: np.ndarray) -> Attributions:
        """Explains texts; works on the Keras backends tensorflow and jax.

        Args:
            tokens: int32 `(n, t)`, at least one text.
        """
        tokens = np.asarray(tokens, np.int32)
        explain: Callable[[np.ndarray], Any] = self._explain_one_by_one
        if keras.backend.backend() == "tensorflow":
            explain = self._graph
        found: list[tuple[np.ndarray, ...]] = []
        for start in range(0, len(tokens), _BATCH):
            batch = tokens[start : start + _BATCH]
            parts = map(ops.convert_to_numpy, explain(batch))
            found.append(tuple(parts))
        logits, values, baseline = map(np.concatenate, zip(*found, strict=True))
        return Attributions(values, logits, baseline)

    @functools.cached_property
    def _graph(self) -> Callable[[np.ndarray], Any]:
        """Logits, attributions and baseline logits as a graph, traced once."""
        spec = tf.TensorSpec((None, None), tf.int32)

        def explain(tokens):
            return (*self(tokens), self._baseline_logits(tokens))

        return tf.function(explain, [spec], autograph=False)

    def _explain_one_by_one(self, tokens: np.ndarray) -> tuple[Any, Any, Any]:
        """The same for backends whose graphs have fixed shapes."""
        logits = ops.convert_to_numpy(self._logits(tokens))
        values = np.zeros(tokens.shape, np.float32)
        for row, text in enumerate(tokens):
            length = max(1, np.count_nonzero(text))
            found = self._explain_text(
                ops.convert_to_tensor(text[:length]), int(logits[row].argmax())
            )
            values[row, :length] = ops.convert_to_numpy(found)
        return logits, values, self._baseline_logits(tokens)

    def _explain_text(self, text, target):
        """Attributions `(length,)` of one text's tokens, without padding."""
        tokens = text[None]
        begin, end, parts = self._line(tokens)
        points = begin + ops.cast(self._points, end.dtype) * (end - begin)
        copies = ops.repeat(tokens, len(self._weights), axis=0)

        def weighted_logit(points):
            logits = self._detour.through(points, lambda: self._logits(copies))
            return ops.sum(self._weights * ops.take(logits, target, axis=1))

        # The points are independent, so this gives the weighted gradient of each.
        gradients = ops.cast(_gradient(weighted_logit, points), "float32")
        values = ops.cast(parts[0], "float32") * ops.sum(gradients, axis=0)
        return ops.sum(values, axis=-1)

    def _baseline_logits(self, tokens: np.ndarray) -> Any:
        """Logits at the baseline."""
        begin, _, _ = self._line(ops.convert_to_tensor(tokens))
        return self._detour.through(begin, lambda: self._logits(tokens))

    def _line(self, tokens):
        """Start and end of each text's line, and each token's share of the way."""
        end = self._layer(tokens)
        if not hasattr(self._layer, "word_contributions"):
            return ops.zeros_like(end), end, end
        parts = self._layer.word_contributions(tokens)
        return end - ops.sum(parts, axis=1), end, parts

    def _logits(self, tokens):
        """Float32 logits."""
        return ops.cast(self._model(tokens, training=False), "float32")


class _Detour(keras.layers.Layer):
    """Passes its input on, or a value that temporarily replaces it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True
        self._given = None

    def call(self, inputs):
        return inputs if self._given is None else self._given

    def through(self, given: Any, run: Callable[[], Any]) -> Any:
        """Calls a function while `given` replaces the input."""
        self._given = given
        try:
            return run()
        finally:
            self._given = None


def _find_layer(model: keras.Model) -> keras.layers.Layer:
    """The layer whose output is attributed to the tokens."""
    names = [layer.name for layer in model.layers]
    for layer in model.layers:
        if hasattr(layer, "word_contributions"):
            return layer
    if "embedding" not in names:
        raise ValueError(
            "`model` must have a layer named `embedding`, or one with the method "
            f"`word_contributions`. Received: layers {', '.join(names)}"
        )
    return model.get_layer("embedding")


def _with_detour(
    model: keras.Model, place: keras.layers.Layer, detour: _Detour
) -> keras.Model:
    """The same layers and weights, with a detour after one of them."""

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return detour(outputs) if layer is place else outputs

    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )


def _gradient(function: Callable[[Any], Any], point: Any) -> Any:
    """Gradient of a scalar function, computed by the Keras backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point)
        return tape.gradient(value, point)
    if backend == "jax":
        import jax

        return jax.grad(function)(point)
    raise NotImplementedError(
        "Integrated gradients need the Keras backend tensorflow or jax. "
        f"Received: backend={backend}"
    )
