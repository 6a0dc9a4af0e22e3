"""Runs the pipeline: `python -m modelyard.pipelines.classify_text`."""

import sys

from modelyard.pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "classify-text", *sys.argv[1:]]))
