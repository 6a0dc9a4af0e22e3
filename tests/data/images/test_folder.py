import logging

import numpy as np
import PIL.Image
import psutil
import pytest

from modelyard.data.errors import DatasetError
from modelyard.data.images.folder import has_class_folders, load_image_folder
from modelyard.data.images.loading import load_images

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def save(path, pixels=None, mode="RGB", colour=0, size=(6, 5), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        image = PIL.Image.new(mode, size, colour)
    else:
        image = PIL.Image.fromarray(pixels)
    image.save(path, **options)


def fill_classes(folder, count=6, **options):
    for name, colour in COLOURS.items():
        for index in range(count):
            pixels = np.full((5, 6, 3), colour, np.uint8)
            pixels[0, 0] = index  # All images differ.
            save(folder / name / f"{index}.png", pixels, **options)


def test_classes_are_sub_folders_and_test_is_a_fold(tmp_path):
    fill_classes(tmp_path, count=10)
    splits = load_images(f"folder:{tmp_path}?fold=1", validation_share=0.2)
    assert splits.class_names == ("blue", "red")
    assert splits.image_shape == (5, 6, 3)
    assert splits.card.source == "folder"
    assert splits.card.splits == {"all": 20}
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (13, 3, 4)
    assert not splits.findings["test_is_official"]
    for examples in (splits.train, splits.validation, splits.test):
        for image, label in zip(examples.images, examples.labels, strict=True):
            assert tuple(image[-1, -1]) == COLOURS[splits.class_names[label]]


def test_images_are_in_the_order_of_their_names(tmp_path):
    names = ["b/10.png", "a/z.png", "b/9.png", "a/A.png", "a/c.png"]
    for value, name in enumerate(names):
        save(tmp_path / name, np.full((4, 4), value, np.uint8))
    _, parts = load_image_folder(tmp_path)
    values = parts["all"].images[:, 0, 0, 0]
    assert [names[value] for value in values] == sorted(names)
    assert parts["all"].labels.tolist() == [0, 0, 0, 1, 1]


def test_train_and_test_folders_are_used(tmp_path):
    for split, count in (("train", 6), ("test", 2)):
        fill_classes(tmp_path / split, count=count)
    splits = load_images(f"folder:{tmp_path}")
    assert splits.findings["test_is_official"]
    assert splits.findings["train_test_duplicates"] >= 2
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 2, 4)
    with pytest.raises(DatasetError, match=r"`fold` must be omitted.*fold=0"):
        load_images(f"folder:{tmp_path}?fold=0")


def test_validation_folder_is_used(tmp_path):
    for split, count in (("train", 6), ("validation", 3), ("test", 2)):
        fill_classes(tmp_path / split, count=count)
    splits = load_images(f"folder:{tmp_path}")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (12, 6, 4)
    assert splits.findings["train_validation_duplicates"] == 6


def test_unusual_images_are_decoded(tmp_path):
    for name in ("a", "b"):
        folder = tmp_path / name
        grey_alpha = np.full((4, 4, 2), 90, np.uint8)
        save(folder / "alpha.png", grey_alpha)
        save(folder / "deep.png", np.full((4, 4), 0x8012, np.uint16))
        save(folder / "pixel.png", np.full((1, 1, 3), 7, np.uint8))
        frames = [PIL.Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
        frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
        save(folder / "UPPER.JPG", np.full((4, 8, 3), 50, np.uint8))
    card, parts = load_image_folder(tmp_path)
    assert card.example_shape == (64, 64, 3)
    paths = sorted(path.relative_to(tmp_path) for path in tmp_path.glob("*/*"))
    values = {
        str(path): image[32, 32].tolist()
        for path, image in zip(paths, parts["all"].images, strict=True)
    }
    assert values["a/alpha.png"] == [90] * 3
    assert values["a/deep.png"] == [0x80] * 3
    assert values["b/pixel.png"] == [7] * 3
    assert values["b/moving.gif"] == [255, 0, 0]
    assert values["b/UPPER.JPG"] == [50] * 3


@pytest.mark.parametrize(
    ("size", "mode", "options", "shape"),
    [
        ((6, 5), "RGB", "", (5, 6, 3)),
        ((6, 5), "L", "", (5, 6, 1)),
        ((6, 5), "L", "?channels=3", (5, 6, 3)),
        ((6, 5), "RGB", "?size=8&channels=1", (8, 8, 1)),
        ((256, 10), "L", "", (10, 256, 1)),
        ((257, 10), "L", "", (64, 64, 1)),
    ],
)
def test_shape_follows_the_images_and_the_options(tmp_path, size, mode, options, shape):
    for name in ("a", "b"):
        for index in range(7):
            save(tmp_path / name / f"{index}.png", mode=mode, size=size, colour=index)
    assert load_images(f"folder:{tmp_path}{options}").image_shape == shape


def test_unreadable_images_are_all_listed(tmp_path):
    fill_classes(tmp_path)
    (tmp_path / "red" / "words.png").write_text("not an image")
    (tmp_path / "red" / "empty.gif").touch()
    whole = tmp_path / "blue" / "cut.jpg"
    save(whole, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    whole.write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(DatasetError) as caught:
        load_images(f"folder:{tmp_path}")
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 unreadable image file(s):"
    assert [line.split(":")[0].rsplit("/")[-1] for line in lines[1:]] == [
        "cut.jpg",
        "empty.gif",
        "words.png",
    ]
    assert "Unknown image file format" in lines[3]


def test_list_of_unreadable_images_is_cut_at_twenty(tmp_path):
    fill_classes(tmp_path)
    for index in range(23):
        (tmp_path / "red" / f"bad{index:02}.png").write_text("x")
    with pytest.raises(DatasetError) as caught:
        load_images(f"folder:{tmp_path}")
    lines = str(caught.value).splitlines()
    assert lines[0] == "23 unreadable image file(s):"
    assert len(lines) == 22
    assert lines[-1] == "  ... and 3 more"


def test_other_files_are_ignored_with_a_warning(tmp_path, caplog):
    fill_classes(tmp_path)
    (tmp_path / "red" / "notes.txt").write_text("x")
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / "red" / "deeper").mkdir()
    for name in (".DS_Store", "Thumbs.db", ".hidden.png"):
        (tmp_path / "red" / name).write_text("x")
    (tmp_path / ".cache").mkdir()
    with caplog.at_level(logging.WARNING, "modelyard"):
        splits = load_images(f"folder:{tmp_path}")
    assert splits.card.splits == {"all": 12}
    for name in ("notes.txt", "readme.md", "deeper"):
        assert name in caplog.text
    for name in (".DS_Store", "Thumbs.db", ".hidden", ".cache"):
        assert name not in caplog.text


def test_invalid_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"Not a folder.*path=.*nowhere"):
        load_images(f"folder:{tmp_path}/nowhere")
    with pytest.raises(DatasetError, match=r"at least 2 sub-folders.*Received: 0 in"):
        load_images(f"folder:{tmp_path}")
    save(tmp_path / "red" / "1.png")
    with pytest.raises(DatasetError, match=r"at least 2 sub-folders.*Received: 1 in"):
        load_images(f"folder:{tmp_path}")
    (tmp_path / "blue").mkdir()
    with pytest.raises(DatasetError, match=r"Every class must have images.*blue"):
        load_images(f"folder:{tmp_path}")


def test_class_too_small_to_split_is_named(tmp_path):
    fill_classes(tmp_path, count=5)
    (tmp_path / "red" / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"at least 5 examples.*test.*: 'red' \(4\)"):
        load_images(f"folder:{tmp_path}")


def test_invalid_split_folders_are_named(tmp_path):
    fill_classes(tmp_path / "train")
    with pytest.raises(DatasetError, match="must also contain `test`"):
        load_images(f"folder:{tmp_path}")
    fill_classes(tmp_path / "test")
    save(tmp_path / "test" / "green" / "1.png")
    with pytest.raises(DatasetError, match=r"in `test` must be in `train`.*green"):
        load_images(f"folder:{tmp_path}")


def test_class_may_be_called_train(tmp_path):
    for name in ("train", "car"):
        for index in range(6):
            save(tmp_path / name / f"{index}.png", colour=(index, 0, 0))
    assert load_images(f"folder:{tmp_path}").class_names == ("car", "train")


def test_images_too_large_for_memory_are_refused_before_decoding(tmp_path, monkeypatch):
    fill_classes(tmp_path)
    memory = psutil.virtual_memory()._replace(available=2000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(DatasetError, match=r"half of the free memory.*Lower `\?size=`"):
        load_images(f"folder:{tmp_path}")
    assert load_images(f"folder:{tmp_path}?size=4&channels=1").image_shape == (4, 4, 1)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ((), False),
        (("a",), False),
        (("a", "b"), True),
        (("train", "test"), False),
        (("train/a", "train/b", "test/a"), True),
        (("train/a", "test/a"), False),
        (("train", "car"), True),
        (("a", ".hidden"), False),
    ],
)
def test_classes_are_told_from_flat_folders(tmp_path, folders, expected):
    for name in folders:
        (tmp_path / "data" / name).mkdir(parents=True)
    assert has_class_folders(tmp_path / "data") == expected
