"""The command line. Nothing heavy is imported before a command needs it."""

import contextlib
import dataclasses
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelyard.data.names import require_known
from modelyard.pipelines import PIPELINES, Pipeline
from modelyard.pipelines.configs import parse_config

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)
_SHOWN = 100  # Characters of a text that is classified.

_Path = tyro.conf.Positional[Path]
_Json = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(name="json")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, 0 only on success."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Start-up chatter.
    # TensorFlow leaves it off where AVX-512 lacks; convolutions are 1.5 times as fast.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command, *rest = arguments or [""]
    if command in ("", "-h", "--help"):
        _print_overview()
        return 0 if command else 2
    if command == "--version":
        OUT.print(metadata.version("modelyard"))
        return 0
    try:
        if command == "run":
            return run(rest)
        require_known("command", command, [*_COMMANDS, "run"])
        function = _COMMANDS[command]
        return tyro.cli(function, args=rest, prog=f"modelyard {command}")
    except KeyboardInterrupt:
        ERR.print("Interrupted.")
        return 130
    except BrokenPipeError:  # As in `modelyard list | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, RuntimeError, OSError) as error:
        if os.environ.get("MODELYARD_TRACEBACK"):
            raise
        ERR.print(f"[bold red]Error:[/] {escape(str(error))}")
        return 1


def run(arguments: Sequence[str]) -> int:
    """Train, test, report and export: `modelyard run PIPELINE --help`."""
    names = [pipeline.name for pipeline in PIPELINES]
    if not arguments or arguments[0] in ("-h", "--help"):
        OUT.print("usage: modelyard run PIPELINE [options]\n")
        for pipeline in PIPELINES:
            OUT.print(f"  {pipeline.name:18} {pipeline.summary}")
        OUT.print("\nIts options: modelyard run PIPELINE --help")
        return 0 if arguments else 2
    name, *rest = arguments
    require_known("pipeline", name, names)
    module = next(p for p in PIPELINES if p.name == name).load()
    config, resume = parse_config(module, rest)
    _import_tensorflow()
    module.run(config, resume=resume, console=OUT)
    return 0


def list_() -> int:
    """Show pipelines, data sets, models and recipes."""
    from modelyard.data.catalogue import CATALOGUE, is_present, tfds_data_dir

    for pipeline in PIPELINES:
        module = pipeline.load()
        OUT.print(f"[bold]{pipeline.name}[/]: {pipeline.summary}")
        OUT.print(f"  models:  {', '.join(module.MODELS)}")
        for name, summary in {
            recipe.name: recipe.summary for recipe in reversed(module.RECIPES)
        }.items():
            OUT.print(f"  recipe {name}: {summary}")
    table = Table(title="data sets", title_justify="left", box=None, pad_edge=False)
    for heading in ("name", "examples", "classes", "here", "licence"):
        table.add_column(heading, overflow="fold")
    for card in CATALOGUE:
        present = is_present(card, tfds_data_dir())
        table.add_row(
            card.name,
            ", ".join(f"{split} {size:,}" for split, size in card.splits.items()),
            str(len(card.class_names)),
            "[green]yes[/]" if present else "no",
            card.licence,
        )
    OUT.print()
    OUT.print(table)
    OUT.print(f"\nPrepared TFDS data sets are looked for in {tfds_data_dir()}")
    OUT.print("Your own pictures: folder:PATH, one sub-folder a class.")
    OUT.print(
        "Your own texts: csv:PATH?text=COLUMN&label=COLUMN (also .jsonl, .parquet)."
    )
    return 0


def data(name: tyro.conf.Positional[str], output: Path | None = None) -> int:
    """Look at a data set before training on it.

    Args:
        name: Data set, as `mnist`, `digits?fold=1`, `folder:PATH?size=64`,
            `imdb_reviews` or `csv:PATH?text=COLUMN&label=COLUMN`.
        output: PNG file for the contact sheet of pictures; `<name>.png` here if not
            given.
    """
    from modelyard.data.catalogue import parse_spec

    if parse_spec(name).content == "texts":
        return _show_texts(name, output)
    _import_tensorflow()
    from modelyard.data.class_counts import count_classes
    from modelyard.data.images.contact_sheet import save_contact_sheet
    from modelyard.data.images.loading import load_images
    from modelyard.pipelines.summaries import describe_splits
    from modelyard.training.run_folder import slug

    splits = load_images(name)
    output = output or Path(f"{slug(name)}.png")
    if output.suffix != ".png" or not output.parent.is_dir():
        raise ValueError(
            "`output` must be a .png file in a folder that exists. "
            f"Received: output={output}"
        )
    OUT.print(describe_splits(splits))
    _print_terms(splits.card)
    OUT.print(count_classes(splits).to_string())
    save_contact_sheet(splits, output)
    OUT.print(f"\nContact sheet: {output}")
    return 0


def evaluate(run: _Path) -> int:
    """Measure the model of a finished run on the test split once more.

    Args:
        run: Folder of the run.
    """
    _import_tensorflow()
    from modelyard.training.run_folder import read_run_json

    recorded = read_run_json(run, "metrics.json")["test"]
    measured = _pipeline_of(run).load().evaluate(run)
    table = Table(box=None, pad_edge=False)
    for heading in ("test", "now", "in metrics.json"):
        table.add_column(heading)
    for name, value in measured.items():
        table.add_row(name, _number(value), _number(recorded.get(name)))
    OUT.print(table)
    return 0


def export(run: _Path) -> int:
    """Publish the model of a finished run as the next version of its SavedModel.

    Args:
        run: Folder of the run.
    """
    _import_tensorflow()
    path = _pipeline_of(run).load().export(run)
    OUT.print(f"Export: {path}")
    return 0


def check(export: _Path, *, as_json: _Json = False) -> int:
    """Judge a SavedModel, of ours or of anybody, as TF Serving would load it.

    Args:
        export: Directory of a version, or the one above it.
        as_json: Print JSON.
    """
    from modelyard.serving.check.saved_model import check_saved_model

    result = check_saved_model(export)
    if as_json:
        _print_json(dataclasses.asdict(result))
    else:
        _print_check(result)
    return 0 if result.ok else 1


def predict(
    export: _Path,
    inputs: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    file: Path | None = None,
    as_json: _Json = False,
) -> int:
    """Classify image files or texts with an export.

    Args:
        export: Directory of a version, or the one above it.
        inputs: Image files, or texts for an export that takes texts.
        file: File of texts, one a line, blank ones left out; - is the standard input.
        as_json: Print JSON.
    """
    from modelyard.data.texts.excerpts import shorten
    from modelyard.serving.predict.predictor import load_predictor

    lines = [] if file is None else _read_lines(file)
    if not inputs and not lines:
        raise ValueError(
            "`inputs` must be at least one image file or text; texts may also come "
            "from `--file`. Received: none"
        )
    with _without_chatter():
        predictor = load_predictor(export)
    with predictor:
        if predictor.takes_texts:
            predictions = predictor.predict_texts([*inputs, *lines])
        elif file is not None:
            raise ValueError(
                "`--file` is for exports that take texts; name image files one after "
                f"the other. Received: --file {file}"
            )
        else:
            predictions = predictor.predict_files([Path(path) for path in inputs])
    if as_json:
        _print_json([dataclasses.asdict(p) for p in predictions])
    for p in predictions:
        if p.error:
            ERR.print(f"[bold red]Error:[/] {escape(p.error)}")
        elif not as_json:
            others = ", ".join(f"{label} {score:.3f}" for label, score in p.top[1:3])
            shown = shorten(p.input, _SHOWN) if predictor.takes_texts else p.input
            OUT.print(f"{shown}: {p.label} {p.score:.3f} ({others})", markup=False)
    return 1 if any(p.error for p in predictions) else 0


def compare(runs: tyro.conf.Positional[tuple[Path, ...]]) -> int:
    """Show runs side by side: settings that differ, metrics, time.

    Args:
        runs: Folders of finished runs, two or more.
    """
    from modelyard.pipelines.comparison import compare_runs

    if len(runs) < 2:
        raise ValueError(
            f"`runs` must name at least two folders. Received: {len(runs)}"
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for folder in runs:
        table.add_column(f"{folder.parent.name}/{folder.name}", overflow="fold")
    for name, values in compare_runs(runs).items():
        table.add_row(name, *values)
    OUT.print(table)
    return 0


_COMMANDS: dict[str, Callable[..., int]] = {
    "list": list_,
    "data": data,
    "evaluate": evaluate,
    "export": export,
    "check": check,
    "predict": predict,
    "compare": compare,
}


def _print_overview() -> None:
    """What `modelyard --help` says."""
    OUT.print("usage: modelyard COMMAND ...\n")
    OUT.print("Applied deep learning pipelines: from data set to served model.\n")
    for name, function in {"run": run, **_COMMANDS}.items():
        OUT.print(f"  {name:10} {(function.__doc__ or '').splitlines()[0]}")
    OUT.print("\nAll options of a command: modelyard COMMAND --help")
    OUT.print("First try: modelyard run classify-images --dataset digits")


def _show_texts(name: str, output: Path | None) -> int:
    """The sizes of a data set of texts, and some of them."""
    if output is not None:
        raise ValueError(
            "`output` is for contact sheets of pictures; texts are shown here. "
            f"Received: output={output}"
        )
    from modelyard.data.texts.loading import load_texts
    from modelyard.data.texts.sheet import describe_texts

    splits = load_texts(name)
    OUT.print(describe_texts(splits), markup=False)
    _print_terms(splits.card)
    return 0


def _print_terms(card: Any) -> None:
    """What may be done with a data set, and whom to cite."""
    OUT.print(f"licence: {card.licence}; {card.permitted_use}", markup=False)
    OUT.print(f"cite: {card.citation}\n", markup=False)


def _read_lines(path: Path) -> list[bytes]:
    """The texts of a file, one a line; what is blank is no text."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    return [line for line in content.splitlines() if line.strip()]


def _import_tensorflow() -> None:
    """Imports TensorFlow without its chatter."""
    with _without_chatter():
        importlib.import_module("tensorflow")
    # Every model that predicts is traced, and a run may have several.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Drops what TensorFlow's libraries print while they load.

    They do so before any log level is looked at. Errors are still raised.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _pipeline_of(run: Path) -> Pipeline:
    """The pipeline that a run folder belongs to."""
    from modelyard.training.run_folder import read_run_json

    name = read_run_json(run, "config.json")["pipeline"]
    require_known("pipeline", name, [pipeline.name for pipeline in PIPELINES])
    return next(p for p in PIPELINES if p.name == name)


def _print_check(result: Any) -> None:
    """A check's rules, and what to do about those that do not hold."""
    OUT.print(f"{result.directory} {result.note}\n", markup=False)
    for rule in result.rules:
        if rule.detail.startswith("Not checked"):  # Follows from one above.
            continue
        mark = {True: "[green]ok[/]    ", False: "[bold red]NOT OK[/]"}.get(
            rule.ok, "-     "
        )
        if rule.ok is False and rule.level == "advice":
            mark = "[yellow]advice[/]"
        OUT.print(f"{mark}  {rule.rule}: {escape(rule.detail)}")
        if rule.ok is False:
            OUT.print(f"        why:  {escape(rule.why)}")
            OUT.print(f"        mend: {escape(rule.mend)}")
    verdict = (
        "[green]ready to serve[/]" if result.ok else "[bold red]not fit to serve[/]"
    )
    OUT.print(f"\n{verdict}")


def _number(value: Any) -> str:
    """A metric as text."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return " to ".join(_number(item) for item in value)
    return "" if value is None else str(value)


def _print_json(content: Any) -> None:
    """JSON for other programs: no colours, no wrapping."""
    sys.stdout.write(json.dumps(content, indent=2, default=str) + "\n")


if __name__ == "__main__":
    sys.exit(main())
