"""An LSTM layer with less work per step than `keras.layers.LSTM`."""

import keras
from keras import layers, ops

# Time steps per turn of the loop: more make a larger graph and fewer turns.
_STEPS = 8


@keras.saving.register_keras_serializable(package="modelyard")
class FastLSTM(layers.Layer):
    """An LSTM, in one or both directions, with the weights of the Keras layers.

    `set_weights` takes what `keras.layers.LSTM` or `keras.layers.Bidirectional` of
    one returns from `get_weights`, and the other way round, and the outputs are
    the same. Four things save time. The inputs of all steps are projected at once.
    Each direction is a loop of its own, of several steps a turn, and TensorFlow runs
    the two side by side. One sigmoid serves all gates. And the gradient is written
    out, so that only what depends on the next step is computed step by step, and the
    gradients of the weights at once.

    Input: `(batch, time, dim)` with a mask that is false at the end only (padding).
    Output: `(batch, units)`, or `(batch, time, units)` with `return_sequences`,
    zero where masked; twice the units in both directions. State and gates are
    float32 under any policy.

    Args:
        units: Size of the state of a direction.
        bidirectional: Whether a second state reads from the last word to the first.
        return_sequences: Whether to return the output of each step rather than the
            last (of each direction).
        weight_drop: Share of the recurrent kernel dropped in training, drawn once a
            batch, in [0, 1).
        seed: Seed of `weight_drop`.

    Reference:
        [Hochreiter and Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735),
        [Merity et al., 2018](https://arxiv.org/abs/1708.02182) (`weight_drop`)
    """

    def __init__(
        self,
        units,
        *,
        bidirectional=False,
        return_sequences=False,
        weight_drop=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.weight_drop = weight_drop
        self.seed = seed
        self.supports_masking = True
        if weight_drop > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Creates kernel, recurrent kernel and bias of each direction."""
        size = 4 * self.units
        prefixes = ("forward_", "backward_") if self.bidirectional else ("",)
        self.directions = [
            (
                self.add_weight((input_shape[-1], size), name=f"{prefix}kernel"),
                self.add_weight(
                    (self.units, size), "orthogonal", name=f"{prefix}recurrent_kernel"
                ),
                self.add_weight((size,), _open_forget_gates, name=f"{prefix}bias"),
            )
            for prefix in prefixes
        ]

    def call(self, inputs, mask=None, *, training=False):
        """Reads sequences."""
        batch, time = ops.shape(inputs)[:2]
        if mask is None:
            lengths = ops.full((batch,), time, dtype="int32")
        else:
            lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        rest = -time % _STEPS
        padded = ops.pad(inputs, [[0, 0], [0, rest], [0, 0]])
        outputs = []
        for d, (kernel, recurrent, bias) in enumerate(self.directions):
            # A tensor: the gradient is with respect to it, not to the variable.
            matrix = ops.cast(recurrent, self.compute_dtype)
            if training and self.weight_drop > 0:
                matrix = keras.random.dropout(
                    matrix, self.weight_drop, seed=self.seed_generator
                )
            places = _places(lengths, batch, time + rest, backward=d == 1)
            kernel = ops.cast(kernel, self.compute_dtype)
            bias = ops.cast(bias, self.compute_dtype)
            outputs.append(_read(padded, places, kernel, matrix, bias)[:, :time])
        if mask is not None:
            present = ops.cast(mask, self.compute_dtype)[..., None]
            outputs = [part * present for part in outputs]
        if self.return_sequences:
            return ops.concatenate(outputs, axis=-1)
        rows = ops.arange(batch, dtype="int32") * time + ops.maximum(lengths - 1, 0)
        flat = ops.reshape(outputs[0], (batch * time, self.units))
        last = ops.take(flat, rows, axis=0)
        if not self.bidirectional:
            return last
        # The second direction ends at the first word.
        return ops.concatenate([last, outputs[1][:, 0]], axis=-1)

    def compute_mask(self, inputs, mask=None):
        """Returns the mask of the output."""
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        units = self.units * (2 if self.bidirectional else 1)
        if self.return_sequences:
            return (*input_shape[:2], units)
        return (input_shape[0], units)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "units": self.units,
            "bidirectional": self.bidirectional,
            "return_sequences": self.return_sequences,
            "weight_drop": self.weight_drop,
            "seed": self.seed,
        }


def _open_forget_gates(shape, dtype=None):
    """A bias of 1 for the forget gates, which are the second quarter."""
    quarter = shape[0] // 4
    ones = ops.ones((quarter,), dtype)
    zeros = ops.zeros((quarter,), dtype)
    return ops.concatenate([zeros, ones, zeros, zeros])


def _read(inputs, places, kernel, recurrent, bias):
    """Runs one direction over inputs whose time is a multiple of the steps a turn.

    Shapes in here: b texts, t times, d inputs, h units; c turns of s steps. A
    direction reads its words in the order in which it meets them, with the padding
    behind them, so that no step has to look at a mask.
    """
    batch, time, dim = ops.shape(inputs)
    units, dtype = recurrent.shape[0], inputs.dtype
    turns = time // _STEPS
    # tanh(x) is 2 * sigmoid(2 * x) - 1: one sigmoid serves all four gates.
    scale = ops.repeat(ops.convert_to_tensor([1.0, 1.0, 2.0, 1.0], dtype), units)
    texts = ops.arange(batch, dtype="int32")[:, None]
    to_time = ops.transpose(texts * time + places)  # (t, b)
    from_time = places * batch + texts  # (b, t)

    def in_time(rows, size):  # (b, t, size) to (t, b, size).
        return ops.take(ops.reshape(rows, (batch * time, size)), to_time, axis=0)

    @ops.custom_gradient
    def run(inputs, kernel, recurrent, bias):
        words = ops.reshape(in_time(inputs, dim), (time * batch, dim))
        projected = ops.matmul(words, kernel * scale) + bias * scale
        projected = ops.reshape(projected, (turns, _STEPS, batch, 4 * units))
        scaled = recurrent * scale
        states, cells, gates = _advance(projected, scaled)
        rows = ops.cast(ops.reshape(states, (time * batch, units)), dtype)

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            wanted = in_time(ops.cast(upstream, "float32"), units)
            wanted = ops.reshape(wanted, (turns, _STEPS, batch, units))
            changes = _retreat(wanted, scaled, cells, gates)
            changes = ops.reshape(ops.cast(changes, dtype), (time * batch, 4 * units))
            before = ops.pad(rows[:-batch], [[batch, 0], [0, 0]])
            back = ops.matmul(changes, ops.transpose(kernel * scale))
            return (
                ops.take(back, from_time, axis=0),
                ops.matmul(ops.transpose(words), changes) * scale,
                ops.matmul(ops.transpose(before), changes) * scale,
                ops.sum(changes, axis=0) * scale,
            )

        return ops.take(rows, from_time, axis=0), grad

    return run(inputs, kernel, recurrent, bias)


def _places(lengths, batch, time, *, backward):
    """Where a direction finds its words, int32 (b, t); they undo themselves."""
    times = ops.broadcast_to(ops.arange(time, dtype="int32"), (batch, time))
    if not backward:
        return times
    lengths = lengths[:, None]
    return ops.where(times < lengths, lengths - 1 - times, times)


def _advance(projected, recurrent):
    """Computes states, cells, (c, s, b, h), and gates, (c, s, b, 4 * h)."""
    turns, _, batch, width = ops.shape(projected)
    units, dtype = width // 4, recurrent.dtype

    def turn(carry, i):
        h, c = carry[0][-1], carry[1][-1]
        z = projected[i]
        kept = []
        for step in range(_STEPS):
            h = ops.matmul(ops.cast(h, dtype), recurrent)
            gates = ops.sigmoid(ops.cast(z[step] + h, "float32"))
            enter, forget, new, leave = ops.split(gates, 4, axis=-1)
            c = forget * c + enter * (2 * new - 1)
            h = leave * ops.tanh(c)
            kept.append((h, c, gates))
        # The backends agree on outputs that are like what is carried on.
        carry = tuple(ops.stack(part) for part in zip(*kept, strict=True))
        return carry, carry

    start = [ops.zeros((_STEPS, batch, size)) for size in (units, units, width)]
    _, kept = ops.scan(turn, tuple(start), ops.arange(turns, dtype="int32"))
    return kept


def _retreat(wanted, recurrent, cells, gates):
    """Computes the gradient of the gates' inputs, (c, s, b, 4 * h)."""
    turns, _, batch, units = ops.shape(wanted)
    enter, forget, new, leave = ops.split(gates, 4, axis=-1)
    flat = ops.reshape(cells, (turns * _STEPS, batch, units))
    before = ops.reshape(
        ops.pad(flat[:-1], [[1, 0], [0, 0], [0, 0]]), (turns, _STEPS, batch, units)
    )
    shown = ops.tanh(cells)
    # What the gradients of cell and state are multiplied by in each gate.
    factors = ops.concatenate([2 * new - 1, before, 2 * enter, shown], axis=-1)
    factors = factors * gates * (1 - gates)
    to_cell = leave * (1 - shown * shown)
    dtype = recurrent.dtype
    transposed = ops.transpose(recurrent)

    def turn(carry, i):
        dz, dc = carry[0][0], carry[1]
        later, cell, factor, keep = (x[i] for x in (wanted, to_cell, factors, forget))
        changes = []
        for step in reversed(range(_STEPS)):
            dh = later[step] + ops.cast(
                ops.matmul(ops.cast(dz, dtype), transposed), "float32"
            )
            dc = dc + dh * cell[step]
            dz = ops.concatenate([dc, dc, dc, dh], axis=-1) * factor[step]
            dc = dc * keep[step]
            changes.append(dz)
        carry = (ops.stack(changes[::-1]), dc)
        return carry, carry

    start = (ops.zeros((_STEPS, batch, 4 * units)), ops.zeros((batch, units)))
    order = ops.arange(turns, dtype="int32")
    _, (changes, _) = ops.scan(turn, start, order, reverse=True)
    return changes
