"""The description of one data set."""

import dataclasses
from typing import Literal

Content = Literal["images", "pictures", "texts"]


@dataclasses.dataclass(frozen=True)
class DatasetCard:
    """What is known about a data set before it is loaded.

    Attributes:
        name: Name of the data set in a spec.
        title: One-line description.
        source: "tfds" (TensorFlow Datasets), "embedded" (shipped by a dependency),
            "pictures" (files that the user copies to the folder of prepared data
            sets), or the user's own "folder" or "file".
        example_shape: `(height, width, channels)` of the uint8 images; `None` for
            sides that vary; `()` if the examples are texts.
        class_names: Class names in label order; `()` for pictures without classes.
        splits: Official sizes, such as `{"train": 60000, "test": 10000}`, or
            `{"all": 1797}` if there is no official test split.
        licence: Licence terms, as publicly known.
        permitted_use: What the licence permits.
        url: Home page.
        citation: The publication to cite.
        tfds_name: Name in TensorFlow Datasets, including the config.
        download_url: One of the files that TensorFlow Datasets downloads.
        label_offset: Value to subtract from the labels of the source.
        transpose: Whether the source stores images with rows and columns swapped.
        package: Optional Python package that ships the data.
        files: Folder of PNG files, or `.npz` file, below the folder of prepared data
            sets; for the source "pictures".
    """

    name: str
    title: str
    source: Literal["tfds", "embedded", "pictures", "folder", "file"]
    example_shape: tuple[int | None, int | None, int] | tuple[()]
    class_names: tuple[str, ...]
    splits: dict[str, int]
    licence: str
    permitted_use: str
    url: str
    citation: str
    tfds_name: str | None = None
    download_url: str | None = None
    label_offset: int = 0
    transpose: bool = False
    package: str | None = None
    files: str | None = None

    @property
    def content(self) -> Content:
        """Type of the examples: images with classes, pictures without, or texts."""
        if not self.example_shape:
            return "texts"
        return "images" if self.class_names else "pictures"

    @property
    def has_official_test(self) -> bool:
        """Whether the data set has an official test split."""
        return "test" in self.splits
