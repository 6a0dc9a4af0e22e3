"""Runs the pipeline: `python -m modelyard.pipelines.transfer_images`."""

import sys

from modelyard.pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "transfer-images", *sys.argv[1:]]))
