"""What the classification pipelines share: compiling, terminal lines and page."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from modelyard.reporting import classes
from modelyard.reporting.page import Page
from modelyard.reporting.run_page import ExportFacts, RunFacts, make_run_page
from modelyard.reporting.sections import Section
from modelyard.training.losses import SmoothedCrossentropy
from modelyard.training.optimizers import make_optimizer
from modelyard.training.precision import resolve_xla
from modelyard.training.settings import OptimizerSettings, TrainingSettings


def builder_options(
    model: str, builder: Callable[..., Any], network: Any, names: Iterable[str]
) -> dict[str, Any]:
    """Returns the arguments for a model builder, from the settings that were given.

    Args:
        model: Name of the model, for the error.
        builder: Function that builds the model.
        network: Settings; those that are `None` are left to the builder.
        names: Settings that are options of some builder.

    Raises:
        ValueError: If a setting is given that this builder does not take.
    """
    given = {n: getattr(network, n) for n in names if getattr(network, n) is not None}
    accepted = inspect.signature(builder).parameters
    for name, value in given.items():
        if name not in accepted:
            raise ValueError(
                f"`{name}` is not an option of the model {model}, which "
                f"takes {', '.join(n for n in names if n in accepted)}. "
                f"Received: {name}={value!r}"
            )
    return given


def compile_classifier(
    model: keras.Model,
    *,
    optimization: OptimizerSettings,
    training: TrainingSettings,
    learning_rate: float,
    label_smoothing: float,
    total_steps: int,
    **options: Any,
) -> None:
    """Compiles a classifier according to the settings of a run.

    Args:
        model: The classifier, with logits.
        optimization: Settings of the optimizer.
        training: Settings of the training.
        learning_rate: Peak learning rate.
        label_smoothing: Share of each label that is spread over all classes.
        total_steps: Updates of the whole training.
        **options: Further arguments of `make_optimizer`.
    """
    optimizer = make_optimizer(
        optimization.optimizer,
        learning_rate=learning_rate,
        schedule=optimization.schedule,
        total_steps=total_steps,
        warmup_share=optimization.warmup_share,
        weight_decay=optimization.weight_decay,
        momentum=optimization.momentum,
        clip_norm=optimization.clip_norm,
        ema=optimization.ema,
        **options,
    )
    model.compile(
        optimizer,
        SmoothedCrossentropy(label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=resolve_xla(training.xla),
    )


def classification_page(
    facts: RunFacts,
    results: classes.ClassificationResults,
    sections: Sequence[Section] = (),
    export: ExportFacts | None = None,
) -> Page:
    """Makes the report page of a classifier.

    Args:
        facts: Facts about the run.
        results: Its predictions and metrics.
        sections: Additional sections of this kind of run.
        export: The export, if there is one.
    """
    return make_run_page(
        facts,
        headline=classes.headline(results),
        cards=classes.cards(results),
        summary=classes.summary_sections(results),
        details=[*sections, *classes.detail_sections(results)],
        export=export,
    )


def describe_accuracy(test: dict[str, Any]) -> str:
    """Returns a line on the test metrics."""
    low, high = test["accuracy_interval"]
    return (
        f"Test accuracy {test['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}; "
        f"{test['num_errors']} of {test['num_examples']:,} wrong), "
        f"log loss {test['log_loss']:.4f}"
    )


def describe_augmented(metrics: dict[str, Any]) -> list[str]:
    """Returns a line on test-time augmentation, if there was any."""
    if "test_tta" not in metrics:
        return []
    accuracy = metrics["test_tta"]["accuracy"]
    return [f"  with test-time augmentation {accuracy:.2%}"]
