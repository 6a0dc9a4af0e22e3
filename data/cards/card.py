"""The description of one data set."""

import dataclasses
from typing import Literal

Content = Literal["images", "texts"]


@dataclasses.dataclass(frozen=True)
class DatasetCard:
    """What is known about a data set before it is loaded.

    Args:
        name: What a spec calls it.
        title: One line for people.
        source: Where it comes from: "tfds" (TensorFlow Datasets), "embedded" (files
            that a dependency ships), or the user's own "folder" or "file".
        example_shape: `(height, width, channels)` of an image, uint8; `()` where
            the examples are texts.
        class_names: Name of each class, in the order of the labels.
        splits: Official sizes, such as `{"train": 60000, "test": 10000}`, or
            `{"all": 1797}` where there is no official test split.
        licence: Its terms, as publicly known.
        permitted_use: What a user may do with it.
        url: Home page.
        citation: What its authors ask to cite.
        tfds_name: Name in TensorFlow Datasets, with its config.
        download_url: One of the files that TensorFlow Datasets downloads.
        label_offset: What to subtract from the labels of the source.
        transpose: Whether the source has rows and columns of the images exchanged.
        package: The Python package that ships the data, where it is optional.
    """

    name: str
    title: str
    source: Literal["tfds", "embedded", "folder", "file"]
    example_shape: tuple[int, int, int] | tuple[()]
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

    @property
    def content(self) -> Content:
        """What an example is."""
        return "images" if self.example_shape else "texts"

    @property
    def has_official_test(self) -> bool:
        """Whether the data set comes with its own test split."""
        return "test" in self.splits
