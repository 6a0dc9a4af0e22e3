"""Runs the pipeline: `python -m modelyard.pipelines.colorize_images`."""

import sys

from modelyard.pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "colorize-images", *sys.argv[1:]]))
