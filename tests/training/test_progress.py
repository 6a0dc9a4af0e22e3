import io

import pytest
from rich.console import Console

from modelyard.training import progress
from modelyard.training.progress import ProgressDisplay


def _show(console, *, epochs=2, steps=3):
    display = ProgressDisplay(console, epochs=epochs, steps=steps)
    display.on_train_begin()
    for epoch in range(epochs):
        display.on_epoch_begin(epoch)
        for step in range(steps):
            display.on_train_batch_end(step, {"loss": 0.5})
        display.on_epoch_end(epoch, {"loss": 0.25, "val_loss": 0.5})
    display.on_train_end()
    return console.file.getvalue()


def test_pipes_get_one_plain_line_per_epoch():
    text = _show(Console(file=io.StringIO(), width=80))
    lines = text.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2")
    assert "loss 0.2500  val_loss 0.5000" in lines[1]
    assert "\x1b" not in text


def test_metrics_of_any_scale_are_readable():
    console = Console(file=io.StringIO(), width=120)
    display = ProgressDisplay(console, epochs=1, steps=1)
    display.on_train_begin()
    display.on_epoch_begin(0)
    logs = {"a": 0.99125, "b": 0.0000321, "c": 123456.7, "d": 0.0, "e": -0.5}
    display.on_epoch_end(0, logs)
    text = console.file.getvalue()
    assert text.endswith("a 0.9912  b 3.21e-05  c 1.23e+05  d 0.0000  e -0.5000\n")


def test_long_epochs_print_lines_at_intervals(monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    text = _show(Console(file=io.StringIO(), width=80))
    assert "epoch 1/2  step 3/3  loss 0.5000" in text


@pytest.mark.parametrize("fails", [False, True])
def test_terminal_gets_a_bar_that_is_removed(fails):
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    display = ProgressDisplay(console, epochs=1, steps=3)
    display.on_train_begin()
    display.on_epoch_begin(0)
    if not fails:
        display.on_epoch_end(0, {})
    display.close()
    display.close()  # A second call is allowed.
    text = console.file.getvalue()
    assert "epoch 1/1" in text
    assert "\x1b[?25h" in text  # The cursor is back.
