"""Optimizers, learning-rate schedules and the loss of a classifier."""

import math
from typing import Any, Literal

import keras
from keras import ops

OptimizerName = Literal["sgd", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "cosine", "one_cycle"]


@keras.saving.register_keras_serializable(package="modelyard")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up to the peak, then a constant, cosine or linear course.

    Args:
        kind: `"constant"` stays at the peak, `"cosine"` falls to zero along half
            a cosine, `"one_cycle"` falls to zero in a straight line.
        peak: Learning rate at the end of the warm-up.
        total_steps: Steps of the whole training.
        warmup_steps: Steps of the warm-up, below `total_steps`.

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
        """Returns the float32 learning rate of update number `step`, from 0."""
        # Counted from one, so that no update runs at a rate of exactly zero.
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
    name: OptimizerName,
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
) -> keras.optimizers.Optimizer:
    """Builds an optimizer with its schedule.

    Args:
        name: `"sgd"`, `"adam"`, `"adamw"` or `"muon"`
            ([Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/);
            biases and gains are updated with Adam).
        learning_rate: Peak learning rate.
        schedule: Its course over the training, see `WarmupSchedule`.
        total_steps: Updates of the whole training.
        warmup_share: Share of the updates that warm up, in [0, 1).
        weight_decay: Decoupled weight decay of all but plain Adam, multiplied by
            the learning rate.
        momentum: Momentum of SGD and Muon.
        nesterov: Whether that momentum is Nesterov's.
        clip_norm: Largest norm of all gradients together; 0 is no clipping.
        ema: Momentum of the average of the weights that is kept beside them and
            takes their place after training; 0 is no average.

    Raises:
        ValueError: If `name` is unknown.
    """
    rate: float | WarmupSchedule = learning_rate
    warmup_steps = int(warmup_share * total_steps)
    if schedule != "constant" or warmup_steps:
        rate = WarmupSchedule(schedule, learning_rate, total_steps, warmup_steps)
    shared: dict = {
        "learning_rate": rate,
        "global_clipnorm": clip_norm or None,
        "use_ema": ema > 0,
        "ema_momentum": ema or 0.99,
    }
    if name == "sgd":
        return keras.optimizers.SGD(
            momentum=momentum,
            nesterov=nesterov and momentum > 0,
            weight_decay=weight_decay or None,
            **shared,
        )
    if name == "adam":
        return keras.optimizers.Adam(**shared)
    if name == "adamw":
        return keras.optimizers.AdamW(weight_decay=weight_decay, **shared)
    if name == "muon":
        return keras.optimizers.Muon(
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            **shared,
        )
    raise ValueError(
        '`optimizer` must be "sgd", "adam", "adamw" or "muon". '
        f"Received: optimizer={name!r}"
    )


@keras.saving.register_keras_serializable(package="modelyard")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits with integer labels and label smoothing.

    Args:
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        name: Name of the loss.

    Reference:
        [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567)
    """

    def __init__(
        self, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Returns losses `(batch,)` of labels `(batch,)`, logits `(batch, k)`."""
        log_scores = ops.log_softmax(y_pred, axis=-1)
        labels = ops.one_hot(
            ops.cast(ops.reshape(y_true, (-1,)), "int32"),
            y_pred.shape[-1],
            dtype=log_scores.dtype,
        )
        smoothed = labels * (1 - self.label_smoothing) + (
            self.label_smoothing / y_pred.shape[-1]
        )
        return -ops.sum(smoothed * log_scores, axis=-1)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
