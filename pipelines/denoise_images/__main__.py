"""Runs the pipeline: `python -m modelyard.pipelines.denoise_images`."""

import sys

from modelyard.pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "denoise-images", *sys.argv[1:]]))
