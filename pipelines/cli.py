"""The command line. Nothing heavy is imported before a command needs it."""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.markup import escape
from rich.table import Table

from modelyard.data.names import require_known
from modelyard.pipelines import PIPELINES, Pipeline, find_pipeline
from modelyard.pipelines.common.terminal import (
    ERR,
    OUT,
    import_tensorflow,
    in_one_line,
    number,
    print_check,
    print_json,
    print_terms,
    read_lines,
    without_chatter,
)

_Path = tyro.conf.Positional[Path]
_Json = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(name="json")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, 0 only on success."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Start-up chatter.
    # TensorFlow disables it without AVX-512; convolutions are 1.5 times as fast.
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
    from modelyard.pipelines.common.command import parse_config

    if not arguments or arguments[0] in ("-h", "--help"):
        OUT.print("usage: modelyard run PIPELINE \\[options]\n")
        for pipeline in PIPELINES:
            OUT.print(f"  {pipeline.name:18} {pipeline.summary}")
        OUT.print("\nOptions of a pipeline: modelyard run PIPELINE --help")
        return 0 if arguments else 2
    name, *rest = arguments
    pipeline = find_pipeline(name)
    config, resume = parse_config(pipeline, rest)
    import_tensorflow()
    pipeline.load().run(config, resume=resume, console=OUT)
    return 0


def list_() -> int:
    """List pipelines, models, recipes and data sets."""
    from modelyard.data.catalogue import CATALOGUE, is_present, tfds_data_dir

    for pipeline in PIPELINES:
        settings = pipeline.load_settings()
        OUT.print(f"[bold]{pipeline.name}[/]: {pipeline.summary}")
        OUT.print(f"  models:  {', '.join(settings.MODELS)}")
        for name, summary in {
            recipe.name: recipe.summary for recipe in reversed(settings.RECIPES)
        }.items():
            OUT.print(f"  recipe {name}: {summary}")
    table = Table(title="data sets", title_justify="left", box=None, pad_edge=False)
    for heading in ("name", "examples", "classes", "available", "licence"):
        table.add_column(heading, overflow="fold")
    for card in CATALOGUE:
        present = is_present(card, tfds_data_dir())
        table.add_row(
            card.name,
            ", ".join(f"{split} {size:,}" for split, size in card.splits.items()),
            str(len(card.class_names) or "-"),
            "[green]yes[/]" if present else "no",
            card.licence,
        )
    OUT.print()
    OUT.print(table)
    OUT.print(f"\nFolder of prepared TFDS data sets: {tfds_data_dir()}")
    OUT.print(
        "Your own images: folder:PATH, with one subfolder per class to classify them."
    )
    OUT.print(
        "Your own texts: csv:PATH?text=COLUMN&label=COLUMN (also .jsonl, .parquet)."
    )
    return 0


def data(name: tyro.conf.Positional[str], output: Path | None = None) -> int:
    """Look at a data set before training on it.

    Args:
        name: Data set, as `mnist`, `digits?fold=1`, `set5`, `folder:PATH?size=64`,
            `imdb_reviews` or `csv:PATH?text=COLUMN&label=COLUMN`.
        output: PNG file for the contact sheet of images; default: `<name>.png`.
    """
    from modelyard.data.catalogue import parse_spec

    if parse_spec(name).content == "texts":
        _show_texts(name, output)
    else:
        _show_images(name, output)
    return 0


def evaluate(run: _Path) -> int:
    """Measure the model of a finished run on the test split again.

    Args:
        run: Folder of the run.
    """
    from modelyard.training.run_folder import read_run_json, require_finished

    pipeline = _pipeline_of(run)
    require_finished(run)
    recorded = read_run_json(run, "metrics.json")["test"]
    import_tensorflow()
    measured = pipeline.load().evaluate(run)
    table = Table(box=None, pad_edge=False)
    for heading in ("test", "now", "in metrics.json"):
        table.add_column(heading)
    for name, value in measured.items():
        table.add_row(name, number(value), number(recorded.get(name)))
    OUT.print(table)
    return 0


def export(run: _Path) -> int:
    """Publish the model of a finished run as the next version of its SavedModel.

    Args:
        run: Folder of the run.
    """
    pipeline = _pipeline_of(run)
    import_tensorflow()
    OUT.print(f"Export: {pipeline.load().export(run)}")
    return 0


def check(export: _Path, *, as_json: _Json = False) -> int:
    """Check any SavedModel the way TF Serving would load it.

    Args:
        export: Directory of a version, or the one above it.
        as_json: Print JSON.
    """
    from modelyard.serving.check.saved_model import check_saved_model

    result = check_saved_model(export)
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        print_check(result)
    return 0 if result.ok else 1


def predict(
    export: _Path,
    inputs: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    file: Path | None = None,
    output: Path | None = None,
    kind: str | None = None,
    as_json: _Json = False,
) -> int:
    """Predict with an export: image files, .npy arrays or texts.

    Args:
        export: Directory of a version, or the one above it.
        inputs: Image files or .npy arrays; texts for an export that takes texts.
        file: File of texts, one per line; - is standard input.
        output: Where predicted images are saved: a .png file, or a folder for several.
        kind: Kind of answer, if not recorded: classes, value, image, text or codes.
        as_json: Print JSON.
    """
    from modelyard.serving.predict.image import ImageAnswer, save_images
    from modelyard.serving.predict.predictor import load_predictor

    lines = [] if file is None else read_lines(file)
    if not inputs and not lines:
        raise ValueError(
            "`inputs` must be at least one image file, array or text; texts may also "
            "come from `--file`. Received: none"
        )
    with without_chatter():
        predictor = load_predictor(export, kind)
    with predictor:
        if file is not None and not predictor.takes_texts:
            raise ValueError(
                "`--file` is for exports that take texts; name files as inputs. "
                f"Received: --file {file}"
            )
        answers: list[Any] = list(predictor.predict([*inputs, *lines]))
    images = [answer for answer in answers if isinstance(answer, ImageAnswer)]
    if images:
        answers = list(save_images(images, output))
    elif output is not None:
        raise ValueError(
            "`--output` is for exports that answer with images. "
            f"Received: --output {output}, an export of kind {predictor.kind}"
        )
    if as_json:
        print_json([dataclasses.asdict(answer) for answer in answers])
    for answer in answers:
        if answer.error:
            ERR.print(f"[bold red]Error:[/] {escape(answer.error)}")
        elif not as_json:
            OUT.print(in_one_line(answer, is_text=predictor.takes_texts), markup=False)
    return 1 if any(answer.error for answer in answers) else 0


def compare(runs: tyro.conf.Positional[tuple[Path, ...]]) -> int:
    """Show runs side by side: settings that differ, metrics, time.

    Args:
        runs: Folders of finished runs, two or more.
    """
    from modelyard.pipelines.common.comparison import compare_runs

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
    """Prints what `modelyard --help` says."""
    OUT.print("usage: modelyard COMMAND ...\n")
    OUT.print("Applied deep learning pipelines: from data set to served model.\n")
    for name, function in {"run": run, **_COMMANDS}.items():
        OUT.print(f"  {name:10} {(function.__doc__ or '').splitlines()[0]}")
    OUT.print("\nOptions of a command: modelyard COMMAND --help")
    OUT.print("To begin: modelyard run classify-images --dataset digits")


def _show_texts(name: str, output: Path | None) -> None:
    """Prints the sizes of a data set of texts, and some of them."""
    from modelyard.data.texts.loading import load_texts
    from modelyard.data.texts.sheet import describe_texts

    if output is not None:
        raise ValueError(
            "`output` is for contact sheets of images; texts are printed. "
            f"Received: output={output}"
        )
    splits = load_texts(name)
    OUT.print(describe_texts(splits), markup=False)
    print_terms(splits.card)


def _show_images(name: str, output: Path | None) -> None:
    """Prints the sizes of a data set of images, and draws some of them."""
    import_tensorflow()
    from modelyard.data.catalogue import parse_spec
    from modelyard.data.class_counts import count_classes
    from modelyard.data.images.contact_sheet import (
        save_contact_sheet,
        save_picture_sheet,
    )
    from modelyard.data.images.folder import has_class_folders
    from modelyard.data.images.loading import load_images
    from modelyard.data.images.pictures import load_pictures
    from modelyard.pipelines.common.finish import describe_splits
    from modelyard.pipelines.common.images import describe_examples
    from modelyard.training.run_folder import slug

    output = output or Path(f"{slug(name)}.png")
    if output.suffix != ".png" or not output.parent.is_dir():
        raise ValueError(
            "`output` must be a .png file in an existing folder. "
            f"Received: output={output}"
        )
    spec = parse_spec(name)
    has_classes = spec.content == "images"
    if has_classes and spec.path is not None:
        has_classes = has_class_folders(spec.path)
    if has_classes:
        splits = load_images(name)
        OUT.print(describe_splits(splits, describe_examples(splits)))
        print_terms(splits.card)
        OUT.print(count_classes(splits).to_string())
        save_contact_sheet(splits, output)
    else:
        pictures = load_pictures(name)
        OUT.print(describe_splits(pictures, pictures.describe_sizes()))
        print_terms(pictures.card)
        save_picture_sheet(pictures, output)
    OUT.print(f"\nContact sheet: {output}")


def _pipeline_of(run: Path) -> Pipeline:
    """The pipeline of a run's folder."""
    from modelyard.training.run_folder import read_run_json

    return find_pipeline(read_run_json(run, "config.json")["pipeline"])


if __name__ == "__main__":
    sys.exit(main())
