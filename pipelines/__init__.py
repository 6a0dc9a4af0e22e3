"""End-to-end pipelines, one file a task. Importing this loads no TensorFlow."""

import dataclasses
import importlib
from types import ModuleType


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """An entry of the list of pipelines.

    Attributes:
        name: Name on the command line.
        summary: One line on what it does.
        module: Module with `Config`, `RECIPES`, `run`, `evaluate` and `export`.
    """

    name: str
    summary: str
    module: str

    def load(self) -> ModuleType:
        """Imports the pipeline's module."""
        return importlib.import_module(self.module)


PIPELINES = (
    Pipeline(
        "classify-images",
        "Trains an image classifier and exports it with four signatures.",
        "modelyard.pipelines.classify_images",
    ),
    Pipeline(
        "transfer-images",
        "Makes a pretrained backbone a classifier of your pictures, from few labels.",
        "modelyard.pipelines.transfer_images",
    ),
    Pipeline(
        "classify-text",
        "Trains a text classifier and exports it with signatures that take strings.",
        "modelyard.pipelines.classify_text",
    ),
)
