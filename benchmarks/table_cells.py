"""The cells of the tables: from a row and its result to text."""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from machine import label_machine
from table_rows import REFERENCES, Row

Entry = dict[str, Any]
_EXTRA_SECONDS = ("word_vectors_seconds", "teachers_seconds", "language_model_seconds")
_LAYERS = {
    "fast": "`FastLSTM`",
    "keras": "`Bidirectional(LSTM)`",
    "torch": "PyTorch `LSTM`",
}


class Line(NamedTuple):
    """A row with its result, and that of the peer that the row names."""

    row: Row
    entry: Entry
    peer: Entry


def _what(line: Line) -> str:
    """First cell."""
    return line.row.what


def _command(line: Line) -> str:
    """The command that measures it."""
    return f"`{line.row.command}`" if line.row.command else ""


def _reference(line: Line) -> str:
    """A published value with its source, or the figures of a peer."""
    text = REFERENCES.get(line.row.reference, "")
    if not line.peer:
        return text
    peer = Line(line.row, line.peer, {})
    return text.format(
        accuracy=_accuracy(peer),
        linear_accuracy=_percent(_values(peer.entry, "linear_accuracy")),
        seconds=_seconds(peer),
        from_scratch=_from_scratch(peer),
    )


def _hardware(line: Line) -> str:
    """A short name of the machine."""
    return line.entry.get("machine_label") or label_machine(line.entry["machine"])


def _machine(line: Line) -> str:
    """The same with the precision of the training."""
    entry = line.entry
    first = entry.get("runs", [{}])[0]
    auto = "bfloat16" if entry["machine"]["bfloat16_in_hardware"] else "float32"
    precision = entry.get("precision") or first.get("precision") or auto
    return f"{_hardware(line)} {precision.replace('bfloat16', 'bf16')}"


def _seeds(line: Line) -> str:
    """Number of runs."""
    return str(len(line.entry["runs"]))


def _accuracy(line: Line) -> str:
    """Mean and standard deviation of the accuracy."""
    return _percent(_values(line.entry, line.row.accuracy))


def _augmented(line: Line) -> str:
    """The accuracy with test-time augmentation."""
    name = (
        "accuracy_tta" if _values(line.entry, "accuracy_tta") else "accuracy_augmented"
    )
    return _percent(_values(line.entry, name))


def _frozen(line: Line) -> str:
    """The accuracy with a frozen backbone."""
    return _percent(_values(line.entry, "accuracy_frozen"))


def _from_scratch(line: Line) -> str:
    """The accuracy without pretraining, at the right end of the learning curve."""
    points = line.entry.get("learning_curve_of_an_earlier_run")
    return f"{points[-1]['scratch']:.1%}" if points else ""


def _seconds(line: Line) -> str:
    """Seconds, those of teachers and the like added."""
    values = _values(line.entry, line.row.seconds)
    if not values:
        return ""
    for name in _EXTRA_SECONDS:
        extra = _values(line.entry, name)[: len(values)]
        if extra:
            values = [a + b for a, b in zip(values, extra, strict=True)]
    mean = statistics.fmean(values)
    decimals = 0 if mean >= 100 else 1
    cell = f"{'≤ ' if line.row.upper_bound else ''}{mean:,.{decimals}f}"
    if len(values) > 1:
        return f"{cell} ± {statistics.stdev(values):,.{decimals}f}"
    return f"{cell} (1 run)" if len(line.entry["runs"]) > 1 else cell


def _relative_time(line: Line) -> str:
    """Seconds by those of the peer."""
    if "time_relative_to_peer" not in line.entry:
        return ""
    ratio = line.entry["time_relative_to_peer"]["mean"]
    return f"{ratio:.2f}" if ratio > 0.2 else f"1/{1 / ratio:.1f}"


def _number(name: str, form: str) -> Callable[[Line], str]:
    """A cell with the mean of a key of the result."""

    def cell(line: Line) -> str:
        values = _values(line.entry, name)
        return form.format(statistics.fmean(values)) if values else ""

    return cell


def _image_rate(line: Line) -> str:
    """Images a second at full size."""
    steady = _values(line.entry, "steady_images_per_second")
    return f"{statistics.fmean(steady or _values(line.entry, 'images_per_second')):.0f}"


def _bare_rate(line: Line) -> str:
    """The machine's rate that the share refers to."""
    rate = _values(line.entry, "training_gflop_per_second")
    share = _values(line.entry, "share_of_bare_rate")
    return f"{rate[0] / share[0]:.0f}" if rate else ""


def _values(entry: Entry, name: str) -> list[float]:
    """The values of a key over the runs that count for its mean."""
    runs = [run[name] for run in entry.get("runs", []) if name in run]
    if name not in entry:
        # No mean was taken, because other runs were disturbed.
        return runs[:1]
    if entry[name]["min"] == entry[name]["max"]:
        return [entry[name]["mean"]]
    return runs


def _percent(values: list[float]) -> str:
    """Mean and standard deviation in percent."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.2%}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean


def _layer(line: Line) -> Entry:
    """The result of one layer at one size."""
    size, _, layer = line.row.cell.partition("/")
    return line.entry["sizes"][int(size)]["layers"][layer]


def _fast_ratio(line: Line) -> str:
    """How much faster `FastLSTM` is than another layer."""
    if line.row.cell.endswith("/fast"):
        return ""
    return f"{statistics.median(_layer(line)['fast_is_faster_by']):.2f}"


def _input_range(line: Line) -> str:
    """The slowest and the fastest epoch."""
    case = line.entry["images_per_second"][line.row.cell]
    return f"{case['slowest']:,} to {case['fastest']:,}"


def _range(low: float, high: float) -> str:
    """Two signed percentages."""
    return f"{low:+.1%} to {high:+.1%}"


def _decibels(name: str) -> Callable[[Line], str]:
    """A cell with mean and standard deviation of a key in dB."""

    def cell(line: Line) -> str:
        values = _values(line.entry, name)
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f} dB{spread}"

    return cell


def _share(name: str) -> Callable[[Line], str]:
    """A cell with mean and standard deviation of a key in percent."""
    return lambda line: _percent(_values(line.entry, name))


def _method(name: str, form: str) -> Callable[[Line], str]:
    """A cell with a metric of one method, which `Row.cell` names, on pictures."""

    def cell(line: Line) -> str:
        values: Any = line.entry["runs"][0]
        for key in line.row.cell.split("/"):
            values = values[key]
        return form.format(values[name]) if name in values else ""

    return cell


def _method_name(line: Line) -> str:
    """The method of `Row.cell`."""
    name = line.row.cell.rpartition("/")[2]
    return {"this model": "**this model**", "peer": "keras.io autoencoder"}.get(
        name, name
    )


def _judged(line: Line) -> str:
    """Accuracy of a classifier on the pictures of the method of `Row.cell`."""
    accuracies = line.entry["runs"][0]["classifier_accuracy"]
    return f"{accuracies[line.row.cell.rpartition('/')[2]]:.2%}"


def _picture_seconds(line: Line) -> str:
    """Seconds of the training, in the rows of what was trained."""
    name = line.row.cell.rpartition("/")[2]
    if name == "peer":
        return f"{line.entry['runs'][0]['peer']['seconds']:,.0f}"
    return _seconds(line) if name == "this model" else ""


def _served(name: str, form: str) -> Callable[[Line], str]:
    """A cell with a figure of a request of the size `Row.cell`."""
    return lambda line: form.format(line.entry["sizes"][line.row.cell][name])


CELLS: dict[str, Callable[[Line], str]] = {
    "what": _what,
    "command": _command,
    "reference": _reference,
    "machine": _machine,
    "hardware": _hardware,
    "seeds": _seeds,
    "accuracy": _accuracy,
    "augmented": _augmented,
    "frozen": _frozen,
    "from_scratch": _from_scratch,
    "seconds": _seconds,
    "relative_time": _relative_time,
    "image_rate": _image_rate,
    "bare_rate": _bare_rate,
    "flop_rate": _number("training_gflop_per_second", "{:.0f}"),
    "share": _number("share_of_bare_rate", "{:.0%}"),
    "perplexity": _number("perplexity", "{:.0f}"),
    "unigram_perplexity": _number("unigram_perplexity", "{:.0f}"),
    "text_rate": _number("strings_per_second", "{:,.0f}"),
    "text_latency": _number("milliseconds_of_one", "{:.2f}"),
    "text_bytes": _number("bytes_of_a_string", "{:,.0f}"),
    "fold_accuracy": lambda line: (
        f"{line.entry['accuracy_mean']:.2%} ± "
        f"{100 * line.entry['accuracy_sd_over_seeds']:.2f}"
    ),
    "fold_range": lambda line: "{:.2%} to {:.2%}".format(
        *line.entry["accuracy_range_over_folds"]
    ),
    "fold_seeds": lambda line: str(len(line.entry["accuracy_by_seed"])),
    "input_rate": lambda line: (
        f"{line.entry['images_per_second'][line.row.cell]['median_images_per_second']:,}"
    ),
    "input_range": _input_range,
    "overhead_of_pairs": lambda line: f"{line.entry['overhead_median_of_pairs']:+.1%}",
    "overhead_of_medians": lambda line: f"{line.entry['overhead_of_medians']:+.1%}",
    "overhead_range": lambda line: _range(*line.entry["overhead_range_of_pairs"]),
    "num_pairs": lambda line: str(len(line.entry["seconds"]["bare"])),
    "code_size": _number("code_size", "{:.0f}"),
    "psnr": _decibels("psnr"),
    "pca_psnr": _decibels("pca_psnr"),
    "probe": _share("probe_accuracy"),
    "pca_probe": _share("pca_probe_accuracy"),
    "method": _method_name,
    "method_psnr": _method("psnr", "{:.2f} dB"),
    "method_ssim": _method("ssim", "{:.4f}"),
    "method_pictures": _method("num_examples", "{:,}"),
    "ciede2000": _method("ciede2000", "{:.2f}"),
    "colorfulness": _method("colorfulness_ratio", "{:.1%}"),
    "absolute_error": _method("mean_absolute_error", "{:.2%}"),
    "near_pixels": _method("accuracy_2pct", "{:.1%}"),
    "judged": _judged,
    "picture_seconds": _picture_seconds,
    "served_milliseconds": _served("milliseconds", "{:,.0f}"),
    "served_megabytes": _served("peak_megabytes", "{:,.0f}"),
    "layer": lambda line: _LAYERS[line.row.cell.partition("/")[2]],
    "word_rate": lambda line: f"{_layer(line)['tokens_per_second']:,.0f}",
    "layer_share": lambda line: f"{_layer(line)['share_of_bare_rate']:.0%}",
    "fast_ratio": _fast_ratio,
    "float32_rate": lambda line: (
        f"{line.entry['best_gflop_per_second']['float32']:.0f}"
    ),
    "bfloat16_rate": lambda line: (
        f"{line.entry['best_gflop_per_second']['bfloat16']:.0f}"
    ),
    "port_difference": lambda line: (
        f"{line.entry['cases'][line.row.cell]['relative_difference']:.1e}"
    ),
    "port_labels": lambda line: (
        "yes" if line.entry["cases"][line.row.cell]["same_labels"] else "no"
    ),
}
