"""The description of one data set."""

import dataclasses
from typing import Literal

Content = Literal["images", "texts"]


@dataclasses.dataclass(frozen=True)
class DatasetCard:
    """What is known about a data set before it is loaded.

    Attributes:
        name: Name of the data set in a spec.
        title: One-line description.
        source: "tfds" (TensorFlow Datasets), "embedded" (shipped by a dependency), or
            the user's own "folder" or "file".
        example_shape: `(height, width, channels)` of the uint8 images; `()` if the
            examples are texts.
        class_names: Class names in label order.
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
        """Whether the examples are images or texts."""
        return "images" if self.example_shape else "texts"

    @property
    def has_official_test(self) -> bool:
        """Whether the data set has an official test split."""
        return "test" in self.splits
