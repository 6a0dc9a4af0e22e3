"""Optimizers and learning-rate schedules."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import keras
from keras import ops

OptimizerName = Literal["sgd", "adam", "adamw", "muon", "filter_muon"]
ScheduleName = Literal["constant", "cosine", "one_cycle"]


@keras.saving.register_keras_serializable(package="modelyard")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, followed by a constant, cosine or linear schedule.

    Args:
        kind: `"constant"` stays at the peak, `"cosine"` decays to zero along half
            a cosine wave, `"one_cycle"` decays to zero linearly.
        peak: Learning rate at the end of the warm-up.
        total_steps: Number of updates of the whole training.
        warmup_steps: Number of updates of the warm-up, below `total_steps`.

    Reference:
        [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983) (cosine),
        [Smith and Topin, 2019](https://arxiv.org/abs/1708.07120) (one cycle)
    """

    def __init__(
        self, kind: ScheduleName, peak: float, total_steps: int, warmup_steps: int
    ):
        self.kind = kind
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        """Returns the float32 learning rate of update `step`, counted from 0."""
        # Counted from 1, so that no update has a learning rate of exactly zero.
        step = ops.cast(step, "float32") + 1.0
        warmup = step / (self.warmup_steps + 1)
        left = (self.total_steps + 1 - step) / (self.total_steps - self.warmup_steps)
        left = ops.clip(left, 0.0, 1.0)
        if self.kind == "constant":
            left = ops.ones_like(left)
        elif self.kind == "cosine":
            left = 0.5 - 0.5 * ops.cos(math.pi * left)
        return self.peak * ops.minimum(warmup, left)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "kind": self.kind,
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
        }


def make_optimizer(
    optimizer: OptimizerName,
    *,
    learning_rate: float,
    schedule: ScheduleName = "constant",
    total_steps: int,
    warmup_share: float = 0.0,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = True,
    clip_norm: float = 0.0,
    ema: float = 0.0,
    rate_scales: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Builds an optimizer with its schedule.

    Args:
        optimizer: `"sgd"`, `"adam"`, `"adamw"`, `"muon"`
            ([Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/);
            biases and gains are updated with Adam) or `"filter_muon"`, see
            `FilterMuon`.
        learning_rate: Peak learning rate.
        schedule: Shape of the learning-rate schedule, see `WarmupSchedule`.
        total_steps: Number of updates of the whole training.
        warmup_share: Fraction of the updates used for warm-up, in [0, 1).
        weight_decay: Decoupled weight decay, multiplied by the learning rate;
            `"adam"` ignores it.
        momentum: Momentum of `"sgd"` and both Muons.
        nesterov: Whether to use Nesterov momentum.
        clip_norm: Maximum global norm of the gradients; 0 disables clipping.
        ema: Decay of the weight average used after training; 0 disables it. Short
            trainings use a lower value, so that the average, which starts from
            untrained weights, spans at most about a tenth of the updates.
        rate_scales: Multipliers of the learning rate by path of the variable, 1 for
            variables not listed; only for `"sgd"` and `"adamw"`.

    Raises:
        ValueError: If `optimizer` is unknown or does not support `rate_scales`.
    """
    if rate_scales and optimizer not in ("sgd", "adamw"):
        raise ValueError(
            '`rate_scales` must be left out unless the optimizer is "sgd" or '
            f'"adamw". Received: optimizer={optimizer!r}'
        )
    rate: float | WarmupSchedule = learning_rate
    warmup_steps = int(warmup_share * total_steps)
    if schedule != "constant" or warmup_steps:
        rate = WarmupSchedule(schedule, learning_rate, total_steps, warmup_steps)
    shared: dict = {
        "learning_rate": rate,
        "global_clipnorm": clip_norm or None,
        "use_ema": ema > 0,
        "ema_momentum": min(ema, total_steps / (total_steps + 10)),
    }
    if optimizer == "sgd":
        return ScaledSGD(
            rate_scales=rate_scales,
            momentum=momentum,
            nesterov=nesterov and momentum > 0,
            weight_decay=weight_decay or None,
            **shared,
        )
    if optimizer == "adam":
        return keras.optimizers.Adam(**shared)
    if optimizer == "adamw":
        return ScaledAdamW(rate_scales=rate_scales, weight_decay=weight_decay, **shared)
    if optimizer == "muon":
        return keras.optimizers.Muon(
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            **shared,
        )
    if optimizer == "filter_muon":
        return FilterMuon(
            momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, **shared
        )
    raise ValueError(
        '`optimizer` must be "sgd", "adam", "adamw", "muon" or "filter_muon". '
        f"Received: optimizer={optimizer!r}"
    )


class _ScaledRates:
    """A mixin that multiplies the learning rate by a factor per variable."""

    def __init__(
        self, *args: Any, rate_scales: Mapping[str, float] | None = None, **kwargs: Any
    ):
        super().__init__(*args, **kwargs)
        self.rate_scales = dict(rate_scales or {})

    def build(self, variables):
        """Creates the state and looks up the factors."""
        super().build(variables)  # type: ignore[misc]
        self._scales = [self.rate_scales.get(v.path, 1.0) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        scale = self._scales[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate * scale)  # type: ignore[misc]

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate_scales": self.rate_scales}  # type: ignore[misc]


@keras.saving.register_keras_serializable(package="modelyard")
class ScaledSGD(_ScaledRates, keras.optimizers.SGD):
    """SGD with a multiplier of the learning rate per variable path.

    Weight decay is not scaled.
    """


@keras.saving.register_keras_serializable(package="modelyard")
class ScaledAdamW(_ScaledRates, keras.optimizers.AdamW):
    """AdamW with a multiplier of the learning rate per variable path.

    Weight decay is not scaled.
    """


@keras.saving.register_keras_serializable(package="modelyard")
class FilterMuon(keras.optimizers.Optimizer):
    """Muon on flattened convolution filters, and SGD for all other variables.

    `keras.optimizers.Muon` orthogonalises the update of a kernel at each position of
    its window separately; here each filter is one row of a single matrix. Kernels are
    rescaled to the norm `sqrt(filters)` before each update. Vectors and matrices
    (biases, the last layer) are updated by SGD with Nesterov momentum, at multiples of
    the learning rate.

    Args:
        learning_rate: Learning rate of the kernels. With a schedule, all variables
            follow it.
        momentum: Momentum of the kernels, in [0, 1).
        nesterov: Whether the kernels use Nesterov momentum.
        bias_scale: Learning rate of vectors, relative to `learning_rate`.
        matrix_scale: Learning rate of matrices, relative to `learning_rate`.
        sgd_momentum: Momentum of vectors and matrices, in [0, 1).

    Reference:
        [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/)
    """

    def __init__(
        self,
        learning_rate: float | WarmupSchedule = 0.24,
        momentum: float = 0.6,
        *,
        nesterov: bool = True,
        bias_scale: float = 440.0,
        matrix_scale: float = 7.0,
        sgd_momentum: float = 0.85,
        name: str = "filter_muon",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov
        self.bias_scale = bias_scale
        self.matrix_scale = matrix_scale
        self.sgd_momentum = sgd_momentum

    def build(self, variables):
        """Creates the momentum buffers."""
        if self.built:
            return
        super().build(variables)
        self._momenta = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        buffer = self._momenta[self._get_variable_index(variable)]
        is_kernel = len(variable.shape) == 4
        momentum = self.momentum if is_kernel else self.sgd_momentum
        mean = buffer * momentum + gradient
        self.assign(buffer, mean)
        if not is_kernel:
            scale = self.bias_scale if len(variable.shape) == 1 else self.matrix_scale
            self.assign_sub(variable, rate * scale * (gradient + momentum * mean))
            return
        update = gradient + momentum * mean if self.nesterov else mean
        filters = variable.shape[-1]
        update = orthogonalise(ops.transpose(ops.reshape(update, (-1, filters))))
        update = ops.reshape(ops.transpose(update), variable.shape)
        norm = ops.sqrt(ops.sum(ops.square(variable)))
        self.assign(variable, variable * (filters**0.5 / norm) - rate * update)

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("momentum", "nesterov", "bias_scale", "matrix_scale", "sgd_momentum")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def orthogonalise(matrix: Any, steps: int = 3) -> Any:
    """Moves the singular values of a matrix towards 1, by Newton-Schulz iteration.

    Args:
        matrix: Floating `(rows, columns)`.
        steps: Number of iterations. After three, the singular values lie between about
            0.3 and 1.2, except those that were tiny.

    Returns:
        A matrix of the same shape and dtype.

    Reference:
        [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/)
    """
    rows, columns = matrix.shape
    x = matrix / (ops.sqrt(ops.sum(ops.square(matrix))) + 1e-7)
    if rows > columns:
        x = ops.transpose(x)
    for _ in range(steps):
        gram = x @ ops.transpose(x)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return ops.transpose(x) if rows > columns else x
