"""The examples in the docstrings of the public names run as they are."""

import doctest

import pytest

from modelyard import models


def _examples(name):
    """Returns the docstring's examples; they may use the names of their module."""
    tests = doctest.DocTestFinder().find(getattr(models, name), name)
    return [test for test in tests if test.examples]


@pytest.mark.parametrize(
    "name",
    [n for n in models.__all__ if n.startswith("build_") or _examples(n)],
)
def test_example_runs(name):
    examples = _examples(name)
    assert examples, f"the docstring of {name} must have an example"
    for test in examples:
        report: list[str] = []
        outcome = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
        assert outcome.attempted
        assert not outcome.failed, "".join(report)
