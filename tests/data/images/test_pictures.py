import logging
import struct

import numpy as np
import PIL.Image
import psutil
import pytest

from modelyard.data.catalogue import find_card
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.images.decoding import decode_picture
from modelyard.data.images.loading import load_images
from modelyard.data.images.pictures import (
    Pictures,
    cut_patches,
    load_evaluation_pictures,
    load_pictures,
)

SPLITS = ("train", "validation", "test")


def noise(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    PIL.Image.fromarray(pixels).save(path, **options)


def fill(folder, count, *, channels=3, name="{}.png"):
    """Saves pictures of different sizes; returns their pixels by name."""
    pictures = {}
    for index in range(count):
        path = folder / name.format(index)
        pictures[path.name] = noise(20 + index, 30 - index, channels, seed=index)
        save(path, pictures[path.name])
    return pictures


def in_memory(*pictures):
    """Pictures of different sizes, one array each, as files would be."""

    class Listed(Pictures):
        def __getitem__(self, index):
            return pictures[index]

    sizes = np.array([picture.shape[:2] for picture in pictures])
    channels = pictures[0].shape[-1]
    return Listed(
        [None] * len(sizes), "abcdef"[: len(sizes)], channels=channels, sizes=sizes
    )


def test_files_keep_their_sizes_and_pixels(tmp_path):
    saved = fill(tmp_path, 10)
    splits = load_pictures(f"folder:{tmp_path}", validation_share=0.25)
    assert [len(getattr(splits, split)) for split in SPLITS] == [6, 2, 2]
    names = []
    for split in SPLITS:
        pictures = getattr(splits, split)
        assert list(pictures.names) == sorted(pictures.names)
        names += pictures.names
        for name, size, pixels in zip(
            pictures.names, pictures.sizes, pictures, strict=True
        ):
            assert pixels.dtype == np.uint8
            assert pixels.shape == (*size, 3)
            np.testing.assert_array_equal(pixels, saved[name])
    assert sorted(names) == sorted(saved)
    assert splits.channels == 3
    assert splits.card.content == "pictures"
    assert splits.card.splits == {"all": 10}
    assert splits.describe_sizes() == "30x20 to 25x25, 3 channels"
    assert splits.findings == {
        "test_is_official": False,
        "train_repeats": 0,
        "train_validation_duplicates": 0,
        "train_test_duplicates": 0,
    }


def test_pictures_are_a_read_only_sequence():
    images = np.stack([noise(4, 5, seed=seed) for seed in range(3)])
    pictures = Pictures(images, ("a", "b", "c"), channels=3)
    assert len(pictures) == len(list(pictures)) == 3
    np.testing.assert_array_equal(pictures[-1], images[2])
    with pytest.raises(IndexError):
        pictures[3]
    with pytest.raises(ValueError, match="read-only"):
        pictures[0][:] = 0
    taken = pictures.take(np.array([2, 0]))
    assert taken.names == ("c", "a")
    np.testing.assert_array_equal(taken[1], images[0])
    strips = taken.cut_rows(0.5, 1.0).cut_rows(0.5, 1.0)
    np.testing.assert_array_equal(strips[0], images[2, 3:])
    with pytest.raises(ValueError, match=r"`sizes` is required for files"):
        Pictures([], [], channels=3)


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("saved_channels", [1, 3])
def test_channels_are_kept_or_converted(tmp_path, channels, saved_channels):
    saved = fill(tmp_path, 3, channels=saved_channels)
    splits = load_pictures(f"folder:{tmp_path}", channels=channels)
    assert splits.channels == (channels or saved_channels)
    pictures = splits.train
    encoded = (tmp_path / pictures.names[0]).read_bytes()
    expected = decode_picture(encoded, channels=splits.channels)
    np.testing.assert_array_equal(pictures[0], expected)
    if splits.channels == saved_channels:
        np.testing.assert_array_equal(expected, saved[pictures.names[0]])
    # In memory they become the same.
    array = saved[pictures.names[0]][np.newaxis]
    in_array = Pictures(array, ("a",), channels=splits.channels)
    np.testing.assert_array_equal(in_array[0], expected)


def test_channels_of_the_spec_are_used_unless_they_contradict(tmp_path):
    fill(tmp_path, 3)
    assert load_pictures(f"folder:{tmp_path}?channels=1").channels == 1
    with pytest.raises(DatasetError, match=r"must be 3 for this pipe.*channels=1"):
        load_pictures(f"folder:{tmp_path}?channels=1", channels=3)
    with pytest.raises(ValueError, match=r"`channels` must be 1 or 3.*channels=2"):
        load_pictures(f"folder:{tmp_path}", channels=2)


def test_folders_are_searched_recursively_with_a_warning(tmp_path, caplog):
    fill(tmp_path, 2)
    fill(tmp_path / "a" / "b", 2)
    fill(tmp_path / "UPPER", 1, name="{}.PNG")
    fill(tmp_path / ".hidden", 1)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "Thumbs.db").write_text("x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    with caplog.at_level(logging.WARNING, "modelyard"):
        pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    assert pictures.names == (
        "0.png",
        "1.png",
        "UPPER/0.PNG",
        "a/b/0.png",
        "a/b/1.png",
    )
    assert "notes.txt" in caplog.text
    assert "Thumbs" not in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("with_validation", [False, True])
def test_split_folders_are_official(tmp_path, caplog, with_validation):
    fill(tmp_path / "train" / "deep" / "deeper", 5)
    fill(tmp_path / "test", 2)
    if with_validation:
        fill(tmp_path / "validation" / "x", 3)
    (tmp_path / "other").mkdir()
    spec = f"folder:{tmp_path}"
    with caplog.at_level(logging.WARNING, "modelyard"):
        splits = load_pictures(spec)
    assert "other" in caplog.text
    sizes = [len(getattr(splits, split)) for split in SPLITS]
    assert sizes == ([5, 3, 2] if with_validation else [4, 1, 2])
    assert splits.test.names == ("test/0.png", "test/1.png")
    assert splits.findings["test_is_official"]
    assert splits.findings["train_repeats"] == 0
    held = 3 if with_validation else 0
    assert splits.findings["train_validation_duplicates"] == held
    assert splits.findings["train_test_duplicates"] >= 1
    assert load_evaluation_pictures(spec, channels=3).names == splits.test.names
    with pytest.raises(DatasetError, match=r"`fold` must be omitted.*fold=0"):
        load_pictures(f"{spec}?fold=0")


def test_train_folder_without_test_is_a_folder_like_others(tmp_path):
    fill(tmp_path / "train", 5)
    (tmp_path / "test").mkdir()
    splits = load_pictures(f"folder:{tmp_path}")
    assert [len(getattr(splits, split)) for split in SPLITS] == [3, 1, 1]
    assert not splits.findings["test_is_official"]


def test_folds_partition_the_pictures_whatever_the_seed(tmp_path):
    saved = fill(tmp_path, 12)
    spec = f"folder:{tmp_path}"
    tests = [load_pictures(f"{spec}?fold={fold}").test.names for fold in range(5)]
    assert sorted(sum(tests, ())) == sorted(saved)
    other = load_pictures(spec, seed=1, validation_share=0.5)
    assert other.test.names == tests[0]
    first = load_pictures(spec, validation_share=0.5)
    assert first.validation.names != other.validation.names
    limited = load_pictures(spec, max_train_examples=2)
    assert len(limited.train) == 2
    assert limited.validation.names == load_pictures(spec).validation.names


def test_arguments_out_of_range_are_named(tmp_path):
    fill(tmp_path, 3)
    spec = f"folder:{tmp_path}"
    with pytest.raises(ValueError, match=r"`max_train_examples` must be.*=0"):
        load_pictures(spec, max_train_examples=0)
    with pytest.raises(ValueError, match=r"`validation_share` must be.*=1"):
        load_pictures(spec, validation_share=1)
    with pytest.raises(DatasetError, match=r"`size` must be omitted.*size=8"):
        load_pictures(f"{spec}?size=8")
    with pytest.raises(DatasetError, match=r"`fold` must be below .* 3\. .*fold=3"):
        load_pictures(f"{spec}?fold=3")


@pytest.mark.parametrize("count", [1, 2])
def test_few_pictures_are_cut_themselves(tmp_path, count):
    for index in range(count):
        save(tmp_path / f"{index}.png", noise(50, 7, seed=index))
    spec = f"folder:{tmp_path}"
    splits = load_pictures(spec)
    assert [len(getattr(splits, split)) for split in SPLITS] == [count] * 3
    assert splits.train.names[0] == "0.png, rows 0 to 29"
    assert splits.test.sizes.tolist() == [[10, 7]] * count
    strips = [getattr(splits, split)[count - 1] for split in SPLITS]
    np.testing.assert_array_equal(np.concatenate(strips), noise(50, 7, seed=count - 1))
    assert splits.findings == {"test_is_official": False}
    assert load_evaluation_pictures(spec, channels=1)[0].shape == (50, 7, 1)
    with pytest.raises(DatasetError, match=r"`fold` needs at least 3.*fold=1"):
        load_pictures(f"{spec}?fold=1")


def test_single_training_picture_is_cut_for_validation(tmp_path):
    save(tmp_path / "train" / "a.png", noise(50, 7))
    save(tmp_path / "test" / "b.png", noise(5, 7))
    splits = load_pictures(f"folder:{tmp_path}")
    heights = [getattr(splits, split).sizes[0, 0] for split in SPLITS]
    assert heights == [40, 10, 5]


def test_picture_too_low_to_be_cut_is_named(tmp_path):
    save(tmp_path / "flat.png", noise(39, 100))
    with pytest.raises(DatasetError, match=r"least 40 rows.*flat\.png of 100x39 pix"):
        load_pictures(f"folder:{tmp_path}")


def test_empty_or_missing_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"has no images .*\.png.*path="):
        load_pictures(f"folder:{tmp_path}")
    with pytest.raises(DatasetError, match=r"Not a folder of images.*nowhere"):
        load_pictures(f"folder:{tmp_path}/nowhere")


def test_unreadable_headers_are_all_listed(tmp_path):
    fill(tmp_path, 3)
    (tmp_path / "words.png").write_text("not an image")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:20])
    PIL.Image.fromarray(noise(4, 4)).convert("P").save(tmp_path / "sub.bmp")
    with pytest.raises(DatasetError) as caught:
        load_pictures(f"folder:{tmp_path}")
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 unreadable image file(s):"
    assert [line.split(":")[0].rsplit("/")[-1] for line in lines[1:]] == [
        "cut.png",
        "empty.gif",
        "sub.bmp",
        "words.png",
    ]
    assert "BMP files must have 24 or 32 bits per pixel." in lines[3]
    assert "{{" not in str(caught.value)


def test_file_that_cannot_be_read_is_named(tmp_path):
    fill(tmp_path, 3)
    path = tmp_path / "0.png"
    pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    path.write_bytes(path.read_bytes()[:-200])  # The header is intact.
    with pytest.raises(DatasetError, match=r"1 unreadable .*\n.*/0\.png: Invalid PNG"):
        load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    with pytest.raises(DatasetError, match=r"Unreadable image file .*/0\.png: \w"):
        pictures[0]
    save(path, noise(3, 3))
    with pytest.raises(DatasetError, match=r"size .* changed .* Received: .*/0\.png"):
        pictures[0]
    path.unlink()
    with pytest.raises(DatasetError, match=r"Unreadable image file .*/0\.png: .*No su"):
        pictures[0]


def test_content_counts_and_not_the_extension(tmp_path):
    pixels = noise(6, 5)
    save(tmp_path / "png.jpg", pixels, format="PNG")
    save(tmp_path / "webp.png", pixels, format="WEBP", lossless=True)
    save(tmp_path / "deep.bmp", pixels, format="BMP")
    pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    assert pictures.sizes.tolist() == [[6, 5]] * 3
    for picture in pictures:
        np.testing.assert_array_equal(picture, pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_of_upright_pictures(tmp_path, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    for index in range(3):
        save(tmp_path / f"{index}.jpg", noise(16, 24, seed=index), exif=exif)
    pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    height, width = (24, 16) if orientation >= 5 else (16, 24)
    assert pictures.sizes.tolist() == [[height, width]] * 3
    assert pictures[0].shape == (height, width, 3)
    # A folder with classes is loaded in the same size.
    for name in ("a", "b"):
        for index in range(5):
            save(
                tmp_path / "classes" / name / f"{index}.jpg",
                noise(16, 24, seed=index),
                exif=exif,
            )
    splits = load_images(f"folder:{tmp_path / 'classes'}")
    assert splits.image_shape == (height, width, 3)


def test_broken_orientation_does_not_change_the_size(tmp_path):
    save(tmp_path / "0.jpg", noise(16, 24))
    jpeg = (tmp_path / "0.jpg").read_bytes()
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "0.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=1)
    assert pictures[0].shape == (16, 24, 1)


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_labelled_data_sets_lose_their_labels(channels):
    splits = load_pictures("digits", channels=channels, max_train_examples=5)
    labelled = load_images("digits")
    assert splits.channels == (channels or 1)
    assert len(splits.train) == 5
    assert len(splits.validation) == len(labelled.validation)
    assert splits.test.names[12] == "test 12"
    np.testing.assert_array_equal(splits.test[12][..., :1], labelled.test.images[12])
    assert splits.card.name == "digits"
    assert not splits.findings["test_is_official"]
    pictures = load_evaluation_pictures("digits", channels=splits.channels)
    np.testing.assert_array_equal(pictures[3], splits.test[3])


def test_folder_with_classes_serves_as_pictures(tmp_path):
    for name in ("a", "b"):
        fill(tmp_path / name, 5)
    splits = load_pictures(f"folder:{tmp_path}")
    assert sum(len(getattr(splits, split)) for split in SPLITS) == 10
    assert splits.findings["train_test_duplicates"] > 0


@pytest.mark.parametrize("spec", ["reviews", "csv:a.csv?text=b"])
def test_texts_are_refused(spec):
    for load in (load_pictures, load_evaluation_pictures):
        with pytest.raises(DatasetError, match=r"holds texts, not pictures: use class"):
            load(spec, channels=3)


def test_cards_are_read_from_the_prepared_data(tmp_path):
    folder = tmp_path / "super_resolution" / "Set5"
    fill(folder, 4)
    with pytest.raises(DatasetUnavailableError) as caught:
        load_pictures("set5", data_dir=tmp_path)
    for words in ("'set5'", "5 PNG files", str(folder), "TFDS_DATA_DIR", "'photos'"):
        assert words in str(caught.value)
    save(folder / "last.png", noise(8, 9))
    splits = load_pictures("set5?fold=1", data_dir=tmp_path)
    assert [len(getattr(splits, split)) for split in SPLITS] == [3, 1, 1]
    assert splits.card == find_card("set5")
    pictures = load_evaluation_pictures("set5", channels=1, data_dir=tmp_path)
    assert len(pictures) == 5
    assert pictures[4].shape == (8, 9, 1)
    with pytest.raises(DatasetError, match="`set5` has no classes: use denoise-images"):
        load_images("set5", data_dir=tmp_path)


def test_tiles_lose_their_transparency(tmp_path):
    path = tmp_path / "pixel_tiles" / "pixel_tiles.npz"
    with pytest.raises(DatasetUnavailableError, match=r"copy pixel_tiles\.npz.*from"):
        load_pictures("pixel_tiles", data_dir=tmp_path)
    tiles = np.stack([noise(32, 32, 4, seed=seed) for seed in range(5)])
    path.parent.mkdir()
    np.savez(path, images=tiles, names=np.array([f"mon/{i}" for i in range(5)]))
    pictures = load_evaluation_pictures("pixel_tiles", channels=3, data_dir=tmp_path)
    assert pictures.names[2] == "mon/2"
    np.testing.assert_array_equal(pictures[2], tiles[2, ..., :3])
    path.write_bytes(b"words")
    with pytest.raises(DatasetError, match=r"Unreadable file .*pixel_tiles\.npz: "):
        load_pictures("pixel_tiles", data_dir=tmp_path)


def test_patches_cover_every_pixel_in_order():
    picture = np.arange(7 * 10, dtype=np.uint8).reshape(7, 10, 1)
    patches = cut_patches(in_memory(picture), size=4)
    corners = [(top, left) for top in (0, 3) for left in (0, 4, 6)]
    assert patches.shape == (6, 4, 4, 1)
    assert patches.dtype == np.uint8
    for patch, (top, left) in zip(patches, corners, strict=True):
        np.testing.assert_array_equal(patch, picture[top : top + 4, left : left + 4])
    assert set(patches.ravel()) == set(range(70))


@pytest.mark.parametrize(
    ("height", "width", "size", "stride", "count"),
    [
        (8, 8, 4, None, 4),
        (9, 8, 4, None, 6),
        (8, 8, 4, 2, 9),
        (8, 9, 4, 3, 9),
        (4, 4, 4, None, 1),
        (4, 4, 9, None, 1),
        (1, 1, 4, 1, 1),
        (4, 8, 6, 6, 2),
    ],
)
def test_number_of_patches_follows_the_grid(height, width, size, stride, count):
    patches = cut_patches(in_memory(noise(height, width)), size=size, stride=stride)
    side = min(size, max(height, width))
    assert patches.shape == (count, side, side, 3)


def test_small_pictures_are_extended_by_mirroring():
    small, large = noise(2, 3), noise(5, 6, seed=1)
    patches = cut_patches(in_memory(small, large), size=5)
    expected = np.pad(small, ((0, 3), (0, 2), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(patches[0], expected)
    np.testing.assert_array_equal(patches[1], large[:, :5])
    np.testing.assert_array_equal(patches[2], large[:, 1:])


def test_large_grids_are_sampled_by_the_seed():
    pictures = in_memory(*(noise(12, 8 + i, seed=i) for i in range(4)))
    whole = cut_patches(pictures, size=4, stride=1)
    places = {patch.tobytes(): index for index, patch in enumerate(whole)}
    assert len(places) == 9 * (5 + 6 + 7 + 8)
    first, same, other = (
        cut_patches(pictures, size=4, stride=1, max_patches=50, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    chosen = [places[patch.tobytes()] for patch in first]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 50
    assert np.mean(chosen) == pytest.approx(len(whole) / 2, rel=0.25)


def test_each_picture_is_read_once_and_only_for_kept_patches(monkeypatch):
    pictures = in_memory(*(noise(4, 8, seed=seed) for seed in range(6)))
    read = []
    original = type(pictures).__getitem__

    def record(self, index):
        read.append(int(index))
        return original(self, index)

    monkeypatch.setattr(type(pictures), "__getitem__", record)
    assert len(cut_patches(pictures, size=2)) == 48
    assert read == list(range(6))
    read.clear()
    assert len(cut_patches(pictures, size=2, max_patches=3)) == 3
    assert len(read) == len(set(read)) <= 3


def test_patches_too_large_for_memory_are_refused(monkeypatch):
    memory = psutil.virtual_memory()._replace(available=500)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    pictures = in_memory(noise(40, 40))
    with pytest.raises(DatasetError, match=r"Lower `max_patches`.*max_patches=100"):
        cut_patches(pictures, size=4)
    assert len(cut_patches(pictures, size=4, max_patches=5)) == 5


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"stride": 0}, {"stride": 5}, {"max_patches": 0}]
)
def test_wrong_grid_is_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"`{name}` must be .*{name}={wrong[name]}"):
        cut_patches(in_memory(noise(4, 4)), **{"size": 4, **wrong})


@pytest.mark.real_data("set5")
def test_real_set5_is_complete():
    pictures = load_evaluation_pictures("set5", channels=3)
    assert [name.split(".")[0] for name in pictures.names] == [
        "baby",
        "bird",
        "butterfly",
        "head",
        "woman",
    ]
    assert pictures.sizes.tolist()[0] == [512, 512]
    assert all(
        picture.shape == (*size, 3)
        for picture, size in zip(pictures, pictures.sizes, strict=True)
    )


@pytest.mark.real_data("pixel_tiles")
def test_real_tiles_are_complete_on_black():
    splits = load_pictures("pixel_tiles")
    sizes = [len(getattr(splits, split)) for split in SPLITS]
    assert sum(sizes) == 4_192
    corners = np.array([picture[0, 0] for picture in splits.validation])
    assert (corners == 0).all(axis=1).mean() > 0.3


@pytest.mark.slow
@pytest.mark.real_data("set14", "t91", "bsd68", "cbsd68", "train400")
@pytest.mark.parametrize("name", ["set14", "t91", "bsd68", "cbsd68", "train400"])
def test_real_pictures_can_all_be_decoded(name):
    card = find_card(name)
    channels = card.example_shape[-1]
    pictures = load_evaluation_pictures(name, channels=channels)
    assert len(pictures) == card.splits["all"]
    for picture, size in zip(pictures, pictures.sizes, strict=True):
        assert picture.shape == (*size, channels)
