"""Fine-tuning in stages, from the layers at the top of a network to all of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import keras
import pandas as pd

from modelyard.training.checkpoint import Progress
from modelyard.training.files import write_text
from modelyard.training.run import Run


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of fine-tuning.

    Attributes:
        layers: Names of the layers that are trained.
        epochs: Epochs of this stage.
        first_epoch: Epochs of all stages before.
        total_epochs: Epochs of all stages.
        part: Subfolder of the run for its checkpoints; empty for the last stage.
    """

    layers: Sequence[str]
    epochs: int
    first_epoch: int
    total_epochs: int
    part: str

    @property
    def is_last(self) -> bool:
        """Whether no stage follows."""
        return not self.part


def fine_tune_in_stages(
    run: Run,
    model: keras.Model,
    groups: Sequence[Sequence[str]],
    *,
    unfreezing: Literal["gradual", "at_once", "none"],
    epochs: int,
    fit: Callable[[Stage], Progress],
) -> Progress:
    """Trains more and more layers of a model.

    Args:
        run: The run; `history.csv` in its folder gets the epochs of all stages.
        model: The model, trained in place.
        groups: Names of the layers by group, from the top down.
        unfreezing: `"gradual"` trains one more group per epoch and then all for
            `epochs`, `"at_once"` all from the beginning, `"none"` the first group only.
        epochs: Epochs of the last stage.
        fit: Compiles and trains the model for a stage.

    Returns:
        History and timing of all stages.

    Reference:
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146)
    """
    progress = []
    for stage in _plan(groups, unfreezing, epochs):
        for group in groups:
            for name in group:
                model.get_layer(name).trainable = name in stage.layers
        run.say(f"Fine-tuning: {', '.join(stage.layers)}")
        progress.append(fit(stage))
    joined = _join(progress)
    table = pd.DataFrame(joined.history).to_csv(index=False)
    write_text(run.folder / "history.csv", table)
    return joined


def _plan(groups: Sequence[Sequence[str]], unfreezing: str, epochs: int) -> list[Stage]:
    """The stages in order."""
    everything = [name for group in groups for name in group]
    planned: list[tuple[list[str], int]] = [(everything, epochs)]
    if unfreezing == "none":
        planned = [(list(groups[0]), epochs)]
    elif unfreezing == "gradual":
        upper = [
            ([name for group in groups[:count] for name in group], 1)
            for count in range(1, len(groups))
        ]
        planned = [*upper, *planned]
    total = sum(count for _, count in planned)
    return [
        Stage(
            layers,
            count,
            first_epoch=i,  # All stages before this one have one epoch.
            total_epochs=total,
            part="" if i == len(planned) - 1 else f"unfreezing/{i + 1}",
        )
        for i, (layers, count) in enumerate(planned)
    ]


def _join(parts: Sequence[Progress]) -> Progress:
    """Joins the histories of all stages."""
    rows: list[dict[str, float]] = []
    seconds = 0.0
    for part in parts:
        for row in part.history:
            rows.append(
                {**row, "epoch": len(rows) + 1, "seconds": row["seconds"] + seconds}
            )
        seconds += part.train_seconds
    return dataclasses.replace(
        parts[-1],
        epoch=len(rows),
        history=rows,
        train_seconds=seconds,
        input_wait_seconds=sum(part.input_wait_seconds for part in parts),
    )
