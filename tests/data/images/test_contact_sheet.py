import numpy as np
import PIL.Image
import pytest

from modelyard.data.images.contact_sheet import (
    save_contact_sheet,
    save_picture_sheet,
)
from modelyard.data.images.loading import load_images
from modelyard.data.images.pictures import load_pictures


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def test_sheet_is_a_png_file_of_images(digits, tmp_path):
    save_contact_sheet(digits, tmp_path / "sheet.png", per_class=3)
    with PIL.Image.open(tmp_path / "sheet.png") as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[0] > 10 * 60
    assert 0.05 < (pixels < 40).mean() < 0.6


def test_choice_follows_the_seed(digits, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_contact_sheet(digits, tmp_path / name, per_class=2, seed=seed)
    first, same, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == same != other


def test_sheet_has_at_most_thirty_rows(tmp_path):
    for label in range(35):
        folder = tmp_path / "data" / f"class {label:02} with a name that is too long"
        folder.mkdir(parents=True)
        for index in range(5):
            PIL.Image.new("RGB", (4, 4), (label, index, 0)).save(
                folder / f"{index}.png"
            )
    splits = load_images(f"folder:{tmp_path / 'data'}")
    save_contact_sheet(splits, tmp_path / "sheet.png", per_class=1)
    with PIL.Image.open(tmp_path / "sheet.png") as image:
        assert 30 * 72 < image.height < 33 * 72 + 100


def test_zero_images_per_class_is_an_error(digits, tmp_path):
    with pytest.raises(ValueError, match=r"`per_class` must be.*per_class=0"):
        save_contact_sheet(digits, tmp_path / "sheet.png", per_class=0)


@pytest.mark.parametrize(("rows", "columns", "shown"), [(5, 8, 3), (1, 1, 1)])
def test_sheet_shows_training_pictures(tmp_path, rows, columns, shown):
    (tmp_path / "data").mkdir()
    for index in range(6):
        image = PIL.Image.new("RGB", (40 + index, 10), (255, 10 * index, 0))
        image.save(tmp_path / "data" / f"{index}.png")
    splits = load_pictures(f"folder:{tmp_path / 'data'}")
    path = tmp_path / "sheet.png"
    save_picture_sheet(splits, path, rows=rows, columns=columns)
    with PIL.Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours = {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()}
    trained = {(255, 10 * int(name[0]), 0) for name in splits.train.names}
    assert len(colours & trained) == shown


def test_sheet_of_no_pictures_is_an_error(tmp_path):
    splits = load_pictures("digits")
    with pytest.raises(ValueError, match=r"`rows` must be.*rows=0"):
        save_picture_sheet(splits, tmp_path / "sheet.png", rows=0)
    with pytest.raises(ValueError, match=r"`columns` must be.*columns=0"):
        save_picture_sheet(splits, tmp_path / "sheet.png", columns=0)
