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
    the same. Three things save time. The inputs of all steps are projected at once.
    Both directions advance in the same turn of one loop, which takes several steps
    a turn. And the gradient is written out, so that only what depends on the next
    step is computed step by step, and the gradients of the weights at once.

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
        weights = []
        for kernel, recurrent, bias in self.directions:
            # A tensor: the gradient is with respect to it, not to the variable.
            matrix = ops.cast(recurrent, self.compute_dtype)
            if training and self.weight_drop > 0:
                matrix = keras.random.dropout(
                    matrix, self.weight_drop, seed=self.seed_generator
                )
            weights += [ops.cast(kernel, self.compute_dtype), matrix]
            weights.append(ops.cast(bias, self.compute_dtype))
        if mask is None:
            lengths = ops.full((batch,), time, dtype="int32")
        else:
            lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        rest = -time % _STEPS
        padded = ops.pad(inputs, [[0, 0], [0, rest], [0, 0]])
        outputs = _read(padded, lengths, weights)[:, :time]
        if mask is not None:
            outputs = outputs * ops.cast(mask, outputs.dtype)[..., None]
        if self.return_sequences:
            return outputs
        rows = ops.arange(batch, dtype="int32") * time + ops.maximum(lengths - 1, 0)
        flat = ops.reshape(outputs, (batch * time, outputs.shape[-1]))
        last = ops.take(flat[:, : self.units], rows, axis=0)
        if not self.bidirectional:
            return last
        # The second direction ends at the first word.
        return ops.concatenate([last, outputs[:, 0, self.units :]], axis=-1)

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


def _read(inputs, lengths, weights):
    """Runs all directions over inputs whose time is a multiple of the steps a turn.

    Shapes in here: b texts, t times, n directions, d inputs, h units; c turns of s
    steps. Each direction reads its words in the order in which it meets them, with
    the padding behind them, so that no step has to look at a mask.
    """
    n = len(weights) // 3
    batch, time, dim = ops.shape(inputs)
    units = weights[1].shape[0]
    turns = time // _STEPS
    place = _places(lengths, batch, time, n)

    def to_time(rows, d):  # (b, t, d) to (t * b, d), as direction `d` meets them.
        flat = ops.reshape(rows, (batch * time, dim))
        texts = ops.arange(batch, dtype="int32")[:, None] * time
        index = ops.reshape(ops.transpose(texts + place[d]), (-1,))
        return ops.take(flat, index, axis=0)

    def from_time(rows, d):  # (t * b, size) to (b, t, size).
        index = place[d] * batch + ops.arange(batch, dtype="int32")[:, None]
        return ops.take(rows, index, axis=0)

    @ops.custom_gradient
    def run(inputs, *weights):
        dtype = inputs.dtype
        kernels, recurrents, biases = weights[0::3], weights[1::3], weights[2::3]
        words = [to_time(inputs, d) for d in range(n)]
        projected = [
            ops.reshape(
                ops.matmul(words[d], kernels[d]) + biases[d],
                (turns, _STEPS, batch, 4 * units),
            )
            for d in range(n)
        ]
        recurrent = ops.stack(recurrents)
        states, cells, gates = _advance(projected, recurrent, turns, batch, units)
        # (t, b, h) of each direction.
        states = [ops.reshape(states[:, :, d], (time, batch, units)) for d in range(n)]
        rows = [ops.reshape(state, (time * batch, units)) for state in states]
        outputs = [from_time(ops.cast(rows[d], dtype), d) for d in range(n)]

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            upstream = ops.cast(upstream, "float32")
            wanted = [_rows_in_time(upstream, d) for d in range(n)]
            wanted = ops.reshape(
                ops.stack(wanted, axis=1), (turns, _STEPS, n, batch, units)
            )
            changes = _retreat(wanted, recurrent, cells, gates)
            changes = ops.cast(changes, dtype)
            total, gradients = 0, []
            for d in range(n):
                change = ops.reshape(changes[:, :, d], (time * batch, 4 * units))
                before = ops.pad(states[d][:-1], [[1, 0], [0, 0], [0, 0]])
                before = ops.reshape(ops.cast(before, dtype), (time * batch, units))
                total = total + from_time(
                    ops.matmul(change, ops.transpose(kernels[d])), d
                )
                gradients += [
                    ops.matmul(ops.transpose(words[d]), change),
                    ops.matmul(ops.transpose(before), change),
                    ops.sum(change, axis=0),
                ]
            return (total, *gradients)

        def _rows_in_time(upstream, d):
            part = upstream[..., d * units : (d + 1) * units]
            flat = ops.reshape(part, (batch * time, units))
            texts = ops.arange(batch, dtype="int32")[:, None] * time
            index = ops.transpose(texts + place[d])
            return ops.take(flat, index, axis=0)

        return ops.concatenate(outputs, axis=-1), grad

    return run(inputs, *weights)


def _places(lengths, batch, time, n):
    """Where each direction finds its words, int32 (b, t); each undoes itself."""
    times = ops.broadcast_to(ops.arange(time, dtype="int32"), (batch, time))
    lengths = lengths[:, None]
    reversed_times = ops.where(times < lengths, lengths - 1 - times, times)
    return [times, reversed_times][:n]


def _advance(projected, recurrent, turns, batch, units):
    """Computes states, cells and gates, (c, s, n, b, ...), from projected inputs."""
    n, dtype = len(projected), recurrent.dtype
    shape = (_STEPS, n, batch, units)

    def turn(carry, i):
        h, c = carry[0][-1], carry[1][-1]
        # (s, n, b, 4 * h).
        z = ops.stack([part[i] for part in projected], axis=1)
        hs, cs, kept = [], [], []
        for step in range(_STEPS):
            h = ops.matmul(ops.cast(h, dtype), recurrent)
            parts = ops.split(ops.cast(z[step] + h, "float32"), 4, axis=-1)
            enter, forget, leave = (ops.sigmoid(parts[k]) for k in (0, 1, 3))
            new = ops.tanh(parts[2])
            c = forget * c + enter * new
            h = leave * ops.tanh(c)
            hs.append(h)
            cs.append(c)
            kept += [enter, forget, new, leave]
        # The backends agree on outputs that are like what is carried on.
        carry = (ops.stack(hs), ops.stack(cs), ops.stack(kept))
        return carry, carry

    kept = (4 * _STEPS, n, batch, units)
    start = (ops.zeros(shape), ops.zeros(shape), ops.zeros(kept))
    _, (states, cells, gates) = ops.scan(turn, start, ops.arange(turns, dtype="int32"))
    gates = ops.reshape(gates, (turns, _STEPS, 4, n, batch, units))
    return states, cells, [gates[:, :, k] for k in range(4)]


def _retreat(wanted, recurrent, cells, gates):
    """Computes the gradient of the gates' inputs, (c, s, n, b, 4 * h)."""
    turns, _, n, batch, units = ops.shape(wanted)
    enter, forget, new, leave = gates
    flat = ops.reshape(cells, (turns * _STEPS, n, batch, units))
    before = ops.pad(flat[:-1], [[1, 0], [0, 0], [0, 0], [0, 0]])
    before = ops.reshape(before, (turns, _STEPS, n, batch, units))
    shown = ops.tanh(cells)
    # What the gradients of cell and state are multiplied by in each gate.
    factors = ops.concatenate(
        [
            new * enter * (1 - enter),
            before * forget * (1 - forget),
            enter * (1 - new * new),
            shown * leave * (1 - leave),
        ],
        axis=-1,
    )
    to_cell = leave * (1 - shown * shown)
    dtype = recurrent.dtype
    transposed = ops.swapaxes(recurrent, 1, 2)

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

    start = (ops.zeros((_STEPS, n, batch, 4 * units)), ops.zeros((n, batch, units)))
    order = ops.arange(turns, dtype="int32")
    _, (changes, _) = ops.scan(turn, start, order, reverse=True)
    return changes
