"""Loads pictures of any size, without classes, as train, validation and test splits."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

from modelyard.data.cards.card import DatasetCard
from modelyard.data.catalogue import (
    FOLDS,
    DatasetSpec,
    find_card,
    is_present,
    parse_spec,
    tfds_data_dir,
)
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.images.loading import load_images
from modelyard.data.images.patches import cut_patches
from modelyard.data.images.picture_files import find_pictures, inspect_pictures
from modelyard.data.images.picture_sequence import Pictures, count_duplicates
from modelyard.data.splitting import check_share

__all__ = [
    "PictureSplits",
    "Pictures",
    "cut_patches",
    "load_evaluation_pictures",
    "load_pictures",
]

_LEAST_ROWS = 8  # Of a fifth of a picture that is cut into splits.


@dataclasses.dataclass(frozen=True)
class PictureSplits:
    """Pictures without classes, ready for training.

    Attributes:
        card: Description of the data set.
        spec: Spec string that it was loaded from.
        train: Pictures for fitting.
        validation: Pictures for model selection, taken from train unless the data set
            has a validation split.
        test: Pictures for the final evaluation.
        findings: `test_is_official`, and the counts of `check_splits`. Pictures that
            are cut into splits are not counted.
    """

    card: DatasetCard
    spec: str
    train: Pictures
    validation: Pictures
    test: Pictures
    findings: dict[str, bool | int]

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey."""
        return self.train.channels

    def describe_sizes(self) -> str:
        """Returns the sizes as text, as "32x32 to 512x512, 3 channels"."""
        sizes = np.concatenate(
            [part.sizes for part in (self.train, self.validation, self.test)]
        )
        by_area = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
        smallest, largest = (
            f"{width}x{height}" for height, width in (by_area[0], by_area[-1])
        )
        sides = smallest if smallest == largest else f"{smallest} to {largest}"
        return f"{sides}, {self.channels} channel{'s' if self.channels > 1 else ''}"


def load_pictures(
    spec: str,
    *,
    channels: int | None = None,
    validation_share: float = 1 / 12,
    seed: int = 0,
    max_train_examples: int | None = None,
    data_dir: Path | None = None,
) -> PictureSplits:
    """Loads and splits pictures.

    A data set without an official test split is split by picture. One or two pictures
    are cut instead: the top 60% of the rows are for training, the next 20% for
    validation, the rest for the test.

    Args:
        spec: `set5`, `train400?fold=2`, `folder:PATH?channels=1`, or any image
            classification data set, whose labels are dropped. A folder is searched
            with its sub-folders; `train`, `test` and optionally `validation` with
            images are official splits.
        channels: 3 converts to RGB, 1 to grey (ITU-R BT.601 luma); `None` keeps what
            the data set has.
        validation_share: Share of train that becomes validation, in (0, 1); at least
            one picture.
        seed: Seed of the validation split and of `max_train_examples`. The test split
            does not depend on it.
        max_train_examples: Upper limit on training pictures, at least 1.
        data_dir: Folder of prepared data sets; `tfds_data_dir()` if `None`.

    Returns:
        The splits. Files are read on demand.

    Raises:
        DatasetError: If the spec is wrong, headers are unreadable, or there are too
            few pictures.
        DatasetUnavailableError: If the data set is not installed and cannot be
            downloaded.
        ValueError: If another argument is out of range.
    """
    check_share(validation_share)
    _check_channels(channels)
    if max_train_examples is not None and max_train_examples < 1:
        raise ValueError(
            "`max_train_examples` must be at least 1. "
            f"Received: max_train_examples={max_train_examples}"
        )
    parsed = parse_spec(spec, content="pictures")
    rng = np.random.default_rng(seed)
    if parsed.path is None and parsed.content == "images":
        card, parts = _load_labelled(spec, channels, validation_share, seed, data_dir)
        is_official = card.has_official_test
    else:
        card, parts = _load_unlabelled(parsed, channels, data_dir)
        is_official = "test" in parts
        parts = _cut_validation(_cut_test(parts, parsed), validation_share, rng)
    train = parts["train"]
    if max_train_examples is not None and max_train_examples < len(train):
        kept = rng.choice(len(train), max_train_examples, replace=False)
        parts["train"] = train.take(np.sort(kept))
    findings: dict[str, bool | int] = {"test_is_official": is_official}
    if not any(part.is_cut for part in parts.values()):
        findings |= count_duplicates(parts)
    return PictureSplits(card, spec, **parts, findings=findings)


def load_evaluation_pictures(
    spec: str, *, channels: int, data_dir: Path | None = None
) -> Pictures:
    """Loads the pictures of another data set to measure a model on.

    Args:
        spec: As for `load_pictures`.
        channels: 3 converts to RGB, 1 to grey.
        data_dir: As for `load_pictures`.

    Returns:
        The test split if the data set has classes or an official test split, all
        pictures otherwise.

    Raises:
        DatasetError: As for `load_pictures`.
        DatasetUnavailableError: As for `load_pictures`.
        ValueError: If `channels` is neither 1 nor 3.
    """
    _check_channels(channels)
    parsed = parse_spec(spec, content="pictures")
    if parsed.path is None and parsed.content == "images":
        return load_pictures(spec, channels=channels, data_dir=data_dir).test
    _, parts = _load_unlabelled(parsed, channels, data_dir)
    return parts["test"] if "test" in parts else parts["all"]


def _load_labelled(spec, channels, validation_share, seed, data_dir):
    """Loads the splits of an image classification data set, without the labels."""
    splits = load_images(
        spec, validation_share=validation_share, seed=seed, data_dir=data_dir
    )
    parts = {
        name: Pictures(
            examples.images,
            [f"{name} {index}" for index in range(len(examples))],
            channels=channels or examples.images.shape[-1],
        )
        for name, examples in (
            ("train", splits.train),
            ("validation", splits.validation),
            ("test", splits.test),
        )
    }
    return splits.card, parts


def _load_unlabelled(
    spec: DatasetSpec, channels: int | None, data_dir: Path | None
) -> tuple[DatasetCard, dict[str, Pictures]]:
    """Loads a folder, or a card of pictures, by official split, or all as "all"."""
    if spec.path is not None:
        return _load_folder(spec, channels)
    card = find_card(spec.name)
    data_dir = Path(data_dir or tfds_data_dir())
    if not is_present(card, data_dir):
        _raise_unavailable(card, data_dir)
    path = data_dir / str(card.files)
    if channels is None:
        *_, channels = card.example_shape  # type: ignore[misc]
    if path.suffix == ".npz":
        return card, {"all": _read_npz(path, channels)}
    paths = sorted(path.glob("*.png"))
    sizes, _ = inspect_pictures(paths)
    names = [file.name for file in paths]
    return card, {"all": Pictures(paths, names, channels=channels, sizes=sizes)}


def _load_folder(spec, channels):
    """Loads the user's own folder."""
    if spec.size is not None:
        raise DatasetError(
            "`size` must be omitted, because pictures without classes keep their "
            f"sizes. Received: size={spec.size}"
        )
    if None not in (channels, spec.channels) and channels != spec.channels:
        raise DatasetError(
            f"`channels` must be {channels} for this pipeline, or omitted. "
            f"Received: channels={spec.channels}"
        )
    listings = find_pictures(spec.path)
    if spec.fold is not None and "test" in listings:
        raise DatasetError(
            "`fold` must be omitted if the folder has its own `test`. "
            f"Received: fold={spec.fold}"
        )
    paths = [path for listing in listings.values() for path in listing]
    sizes, all_grey = inspect_pictures(paths)
    channels = channels or spec.channels or (1 if all_grey else 3)
    names = [path.relative_to(spec.path).as_posix() for path in paths]
    pictures = Pictures(paths, names, channels=channels, sizes=sizes)
    parts, start = {}, 0
    for split, listing in listings.items():
        parts[split] = pictures.take(np.arange(start, start + len(listing)))
        start += len(listing)
    card = DatasetCard(
        name="folder",
        title=f"Pictures in the folder {spec.path.name}",
        source="folder",
        example_shape=(None, None, channels),
        class_names=(),
        splits={split: len(part) for split, part in parts.items()},
        licence="Not known; the user's own data",
        permitted_use="As permitted by the owner of the pictures",
        url="",
        citation="",
    )
    return card, parts


def _cut_test(parts, spec):
    """Uses a fifth of the pictures as the test split, the same one for every seed."""
    if "test" in parts:
        return parts
    pictures, fold = parts["all"], spec.fold or 0
    if len(pictures) < 3:
        if fold:
            raise DatasetError(
                "`fold` needs at least 3 pictures. "
                f"Received: fold={fold}, {len(pictures)} pictures"
            )
        _check_rows(pictures)
        return {
            "train": pictures.cut_rows(0.0, 0.6),
            "validation": pictures.cut_rows(0.6, 0.8),
            "test": pictures.cut_rows(0.8, 1.0),
        }
    if fold >= len(pictures):
        raise DatasetError(
            f"`fold` must be below the number of pictures, {len(pictures)}. "
            f"Received: fold={fold}"
        )
    is_test = np.zeros(len(pictures), bool)
    is_test[np.random.default_rng(0).permutation(len(pictures))[fold::FOLDS]] = True
    return _separate(pictures, "test", is_test)


def _cut_validation(parts, share, rng):
    """Holds out validation pictures from train, unless there are some."""
    if "validation" in parts:
        return dict(parts)
    train = parts["train"]
    if len(train) == 1:
        _check_rows(train)
        held = {
            "train": train.cut_rows(0.0, 0.8),
            "validation": train.cut_rows(0.8, 1.0),
        }
    else:
        count = min(max(round(share * len(train)), 1), len(train) - 1)
        is_held = np.zeros(len(train), bool)
        is_held[rng.choice(len(train), count, replace=False)] = True
        held = _separate(train, "validation", is_held)
    return {**held, "test": parts["test"]}


def _separate(pictures, split, is_held):
    """Makes train and another split of the pictures that are held out."""
    return {
        "train": pictures.take(np.flatnonzero(~is_held)),
        split: pictures.take(np.flatnonzero(is_held)),
    }


def _check_rows(pictures):
    """Raises unless each picture is high enough to be cut into splits."""
    least = 5 * _LEAST_ROWS
    for name, (height, width) in zip(pictures.names, pictures.sizes, strict=True):
        if height < least:
            raise DatasetError(
                f"With fewer than 3 pictures, each is cut into splits and needs at "
                f"least {least} rows. "
                f"Received: {name} of {width}x{height} pixels"
            )


def _raise_unavailable(card, data_dir):
    """Raises with what to copy, where to, and where it comes from."""
    path = data_dir / card.files
    if path.suffix:
        what, folder = f"{path.name}, made from {card.url},", path.parent
    else:
        count = card.splits["all"]
        what, folder = f"its {count} PNG files, and no others, from {card.url}", path
    raise DatasetUnavailableError(
        f"The data set {card.name!r} is not installed: copy {what} to {folder}, or set "
        f"`TFDS_DATA_DIR` to the folder that contains {card.files}; the data set "
        "'photos' needs no download."
    )


def _read_npz(path, channels):
    """Reads an archive of RGBA tiles, without their transparency."""
    try:
        with np.load(path) as archive:
            images, names = archive["images"], archive["names"].tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"Unreadable file {path}: {error}.") from error
    return Pictures(np.ascontiguousarray(images[..., :3]), names, channels=channels)


def _check_channels(channels):
    """Raises unless pictures can have this number of channels."""
    if channels not in (None, 1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels}")
