"""IMDB: accuracy over seeds, time compared with a Keras example, serving speed.

    python benchmarks/imdb_figures.py --figures ngram models
    python benchmarks/imdb_figures.py --figures ngram_best lstm_best
    python benchmarks/imdb_figures.py --figures quick language_model serving

Each training runs in its own process; trainings whose times are compared run in turn.
The test split is the official one; the validation split is cut from the training split.
Results are merged into benchmarks/results/imdb.json, with one entry per figure.
`language_model` trains one for each seed, unless `--pretrained` names a run that has
one.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from figures import HERE, Job, finished_run, measure_in_turn, run_peer

_MODELS = ("simple_rnn", "gru", "lstm", "text_cnn", "transformer", "fnet")
_QUICK = (
    *("--model", "lstm", "--epochs", "1", "--max-length", "200"),
    # AdamW is best after one epoch, though not after four.
    *("--optimizer", "adamw", "--learning-rate", "0.004", "--weight-decay", "0.01"),
    *("--embedding-rate-scale", "1", "--embedding-dropout", "0.5", "--clip-norm", "1"),
    *("--pooling", "max", "--ngrams", "1"),
)
_LANGUAGE_MODEL = (
    *("--ngrams", "1", "--embedding-dim", "300", "--num-layers", "1"),
    *("--embedding-dropout", "0.1", "--dropout", "0.3", "--pooling", "last_max_mean"),
    # Small updates of all layers did better than the gradual unfreezing that was tried.
    *("--unfreezing", "at_once", "--rate-decay", "0.7", "--epochs", "3"),
    *("--optimizer", "adamw", "--learning-rate", "0.004", "--weight-decay", "0.01"),
    *("--embedding-rate-scale", "1", "--clip-norm", "1", "--max-length", "400"),
    *("--batch-size", "32", "--batch-words", "8192"),
)
_PEER = "keras_io_bidirectional_lstm"
_SERVED_TEXTS = 2000
_SERVED_BATCH = 32


def main():
    """Measures the chosen figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    best = ("ngram_best", "lstm_best")
    figures = ("ngram", "models", *_MODELS, *best, "quick", "language_model", "serving")
    parser.add_argument("--figures", nargs="+", choices=figures, default=[])
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--peer-runs", type=int, default=1, help="runs of the peer; default: 1"
    )
    parser.add_argument(
        "--pretrained", type=Path, help="run whose language model to start from"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results" / "imdb.json")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        print(json.dumps(_serve(arguments.serve)))
        return
    if not arguments.figures:
        parser.error("--figures is needed")
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    chosen = set(arguments.figures)
    names = [n for n in _MODELS if chosen & {n, "models"}]
    jobs: dict[str, Job] = {}
    if "ngram" in chosen:
        jobs["ngram_fast"] = (functools.partial(_ours, ()), arguments.seeds)
    for name in names:
        options = ("--model", name, "--no-baseline")
        jobs[f"{name}_fast"] = (functools.partial(_ours, options), arguments.seeds)
    peer = None
    if "quick" in chosen:
        options = (*_QUICK, "--no-baseline")
        jobs["lstm_quick"] = (functools.partial(_ours, options), arguments.seeds)
        if arguments.peer_runs:
            peer = _PEER
            runs = min(arguments.peer_runs, arguments.seeds)
            jobs[peer] = (_peer, runs)
    for name in best:
        if name in chosen:
            model = name.partition("_")[0]
            options = ("--model", model, "--recipe", "best", "--no-baseline")
            jobs[name] = (functools.partial(_ours, options), arguments.seeds)
    if "language_model" in chosen:
        start = ("--pretrain-epochs", "2")
        if arguments.pretrained is not None:
            start = ("--pretrained", str(arguments.pretrained))
        options = ("--model", "lstm", *_LANGUAGE_MODEL, *start, "--no-baseline")
        jobs["lstm_language_model"] = (
            functools.partial(_ours, options),
            arguments.seeds,
        )
    if "serving" in chosen:
        jobs["ngram_serving"] = (_export_and_serve, 1)
    measure_in_turn(jobs, arguments.output, peer=peer)


def _ours(options, seed):
    """One run of the pipeline."""
    options = ("--dataset", "imdb_reviews", "--seed", str(seed), *options)
    with finished_run("classify-text", *options) as (folder, process_seconds):
        metrics = json.loads((folder / "metrics.json").read_text())
    timing = metrics["timing"]
    record = {
        "accuracy": metrics["test"]["accuracy"],
        "roc_auc": metrics["test"]["roc_auc"],
        "accuracy_validation": metrics["validation"]["accuracy"],
        # As for the peer: from building the model to its test accuracy.
        "seconds": sum(
            timing[f"{part}_seconds"] for part in ("build", "train", "evaluate")
        ),
        "train_seconds": timing["train_seconds"],
        "process_seconds": process_seconds,
    }
    if "linear_baseline" in metrics:
        baseline = metrics["linear_baseline"]
        record["linear_accuracy"] = baseline["accuracy"]
        record["linear_seconds"] = baseline["seconds"]
    if "word_vectors" in metrics:
        record["word_vectors_seconds"] = metrics["word_vectors"]["seconds"]
    if "teachers" in metrics:
        facts = metrics["teachers"]
        record["teachers_accuracy_validation"] = facts["validation_accuracy"]
        record["teachers_seconds"] = facts["seconds"]
    if "language_model" in metrics:
        facts = metrics["language_model"]
        record["perplexity"] = facts["validation_perplexity"]
        record["language_model_seconds"] = facts["train_seconds"]
    return record


def _peer(seed):
    """One run of the Keras example."""
    return run_peer("keras_bidirectional_lstm.py", "--seed", str(seed))


def _export_and_serve(seed):
    """Strings per second of the exported n-gram model, on one core."""
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        options = ("--dataset", "imdb_reviews", "--seed", str(seed), "--no-baseline")
        place = ("--export", "--saved-models-dir", root)
        with finished_run("classify-text", *options, *place):
            (export,) = Path(root).glob("*/1")
            done = subprocess.run(
                [sys.executable, __file__, "--serve", str(export)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
    return json.loads(done.stdout.splitlines()[-1])


def _serve(export):
    """Times predictions of test reviews in this process, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from modelyard.data.texts.loading import load_texts
    from modelyard.serving.predict.predictor import load_predictor

    texts = load_texts("imdb_reviews").test.texts[:_SERVED_TEXTS].tolist()
    batches = [
        texts[i : i + _SERVED_BATCH] for i in range(0, len(texts), _SERVED_BATCH)
    ]
    with load_predictor(export) as predictor:
        predictor.predict(batches[0])
        rounds = []
        for _ in range(5):
            began = time.perf_counter()
            for batch in batches:
                predictor.predict(batch)
            rounds.append(len(texts) / (time.perf_counter() - began))
        singles = []
        for text in texts[:200]:
            began = time.perf_counter()
            predictor.predict([text])
            singles.append(time.perf_counter() - began)
    return {
        "strings_per_second": statistics.median(rounds),
        "batch": _SERVED_BATCH,
        "milliseconds_of_one": 1000 * statistics.median(singles),
        "bytes_of_a_string": statistics.fmean(len(text.encode()) for text in texts),
    }


if __name__ == "__main__":
    main()
