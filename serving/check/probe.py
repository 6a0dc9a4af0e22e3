"""The process that `check_saved_model` starts for one SavedModel.

Run as `python -m modelyard.serving.check.probe DIRECTORY JOURNAL`. Before each rule
it writes the rule's name to the journal, and after it the finding. If the C++
runtime crashes, the journal shows which rule was being checked.
"""

import dataclasses
import json
import sys
from pathlib import Path

from modelyard.serving.check import graph_rules, run_rules
from modelyard.serving.check.rules import RULES, Finding
from modelyard.serving.check.subject import Subject
from modelyard.serving.native.loader import disable_xla

# Rule -> (check, attribute of `Subject` that it needs).
_CHECKS = {
    "files": (graph_rules.check_files, None),
    "serve_tag": (graph_rules.check_serve_tag, None),
    "loads": (graph_rules.check_loads, None),
    "serving_default": (graph_rules.check_serving_default, "meta_graph"),
    "names": (graph_rules.check_names, "meta_graph"),
    "dtypes": (graph_rules.check_dtypes, "meta_graph"),
    "cpu_ops": (graph_rules.check_cpu_ops, "meta_graph"),
    "no_xla": (graph_rules.check_no_xla, "meta_graph"),
    "weights_once": (graph_rules.check_weights_once, "weights"),
    "runs": (run_rules.check_runs, "model"),
    "batch": (run_rules.check_batch, "model"),
    "warmup": (run_rules.check_warmup, "model"),
    "golden": (run_rules.check_golden, "model"),
}
_UNREAD = {
    "meta_graph": "there is no readable graph with tag `serve`",
    "weights": "there are no readable weights",
    "model": "it does not load",
}


def main(directory: Path, journal: Path) -> None:
    """Checks all rules and records each in the journal.

    Args:
        directory: The version directory.
        journal: The file to write, one JSON object per line.
    """
    disable_xla()
    subject = Subject(directory)
    with journal.open("w") as file:
        for rule in RULES:
            print(json.dumps({"begin": rule.name}), file=file, flush=True)
            check, need = _CHECKS[rule.name]
            if need and not getattr(subject, need):
                detail = f"Not checked: {_UNREAD[need]}."
                finding = Finding(ok=None, detail=detail)
            else:
                finding = check(subject)
            entry = {"finding": dataclasses.astuple(finding)}
            print(json.dumps(entry), file=file, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
