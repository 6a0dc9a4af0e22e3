"""End-to-end pipelines, a folder per task. Importing this loads no TensorFlow."""

import dataclasses
import importlib
from types import ModuleType


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """An entry in the list of pipelines.

    Attributes:
        name: Name on the command line. The package has the same name, with
            underscores.
        summary: What it does, in one line.
    """

    name: str
    summary: str

    @property
    def package(self) -> str:
        """Full name of the package."""
        return f"modelyard.pipelines.{self.name.replace('-', '_')}"

    def load_settings(self) -> ModuleType:
        """Imports its module `config`, with `Config`, `MODELS`, `RECIPES`, `COMPARED`.

        This loads no TensorFlow.
        """
        return importlib.import_module(f"{self.package}.config")

    def load(self) -> ModuleType:
        """Imports its module `run`, with `run`, `evaluate` and `export`."""
        return importlib.import_module(f"{self.package}.run")


PIPELINES = (
    Pipeline(
        "classify-images",
        "Trains an image classifier and exports it with four signatures.",
    ),
    Pipeline(
        "transfer-images",
        "Turns a pretrained backbone into a classifier of your own images.",
    ),
    Pipeline(
        "classify-text",
        "Trains a text classifier and exports it with signatures that take strings.",
    ),
    Pipeline(
        "encode-images",
        "Compresses images to a few numbers, and measures what they keep.",
    ),
    Pipeline(
        "denoise-images",
        "Removes noise from pictures.",
    ),
    Pipeline(
        "colorize-images",
        "Adds colour to grey pictures.",
    ),
    Pipeline(
        "enhance-images",
        "Enlarges pictures (super-resolution).",
    ),
)


def find_pipeline(name: str) -> Pipeline:
    """Returns the pipeline of a name.

    Raises:
        ValueError: If there is none; the message suggests the nearest name.
    """
    from modelyard.data.names import require_known

    require_known("pipeline", name, [pipeline.name for pipeline in PIPELINES])
    return next(pipeline for pipeline in PIPELINES if pipeline.name == name)
