import numpy as np
import PIL.Image
import pytest

from modelyard.data.images.contact_sheet import save_contact_sheet
from modelyard.data.images.loading import load_images


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
