import io

import pytest
from rich.console import Console

from modelyard.evaluation import progress
from modelyard.evaluation.progress import PredictionProgress


@pytest.mark.parametrize("terminal", [False, True])
def test_prediction_prints_one_final_line_with_its_speed(terminal):
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal)
    shown = PredictionProgress(console, "features of train", count=90, batch_size=64)
    shown.on_predict_begin()
    for batch in range(2):
        shown.on_predict_batch_end(batch)
    shown.on_predict_end()
    text = console.file.getvalue()
    assert text.count("features of train: 90 of 90") == 1
    assert text.endswith("images/s\n") or terminal


def test_long_predictions_print_lines_at_intervals(monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    console = Console(file=io.StringIO(), width=80)
    shown = PredictionProgress(console, "features", count=90, batch_size=64)
    shown.on_predict_begin()
    for batch in range(2):
        shown.on_predict_batch_end(batch)
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "features: 64 of 90",
        "features: 90 of 90",
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_final_line_can_be_left_out_even_after_an_error(fails):
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    shown = PredictionProgress(
        console, "predicting", count=90, batch_size=64, leaves_line=False
    )
    shown.on_predict_begin()
    if not fails:
        shown.on_predict_end()
    shown.close()
    shown.close()  # A second call is allowed.
    text = console.file.getvalue()
    assert "90 of 90" not in text
    assert "\x1b[?25h" in text  # The cursor is back.
