import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard.data.catalogue import (
    CATALOGUE,
    DatasetSpec,
    find_card,
    is_present,
    parse_spec,
    tfds_data_dir,
)
from modelyard.data.errors import DatasetError


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mnist", DatasetSpec("mnist")),
        ("emnist/letters", DatasetSpec("emnist/letters")),
        ("digits?fold=2", DatasetSpec("digits", fold=2)),
        ("folder:a/b", DatasetSpec("folder", path=Path("a/b"))),
        (
            "folder:a?b?size=96&channels=1&fold=0",
            DatasetSpec("folder", path=Path("a?b"), fold=0, size=96, channels=1),
        ),
        ("csv:a/b.tsv", DatasetSpec("csv", path=Path("a/b.tsv"))),
        (
            "csv:a.csv?text=my+text&label=x%26y&fold=1",
            DatasetSpec("csv", Path("a.csv"), fold=1, text="my text", label="x&y"),
        ),
    ],
)
def test_spec_is_parsed_into_its_parts(spec, expected):
    assert parse_spec(spec) == expected


def test_home_folder_in_a_path_is_expanded():
    assert parse_spec("folder:~/x").path == Path.home() / "x"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "fashon_mnist",
            r"Did you mean fashion_mnist.*Known: mnist, .*'fashon_mnist'",
        ),
        ("zzz", r"Unknown data set\. Known: mnist, .*folder:PATH.*'zzz'"),
        ("", r"Unknown data set"),
        ("mnist?fold=1", r"Unknown option `fold`. .*none.*'mnist\?fold=1'"),
        ("digits?folds=1", r"Unknown option `folds`. .*`fold`"),
        ("digits?fold=5", r"`fold` must be in \[0, 5\). Received: fold=5"),
        ("digits?fold=-1", r"`fold` must be .* fold=-1"),
        ("digits?fold=", r"`fold` must be .* fold=$"),
        ("folder:x?channels=2", r"`channels` must be 1 or 3. Received: channels=2"),
        ("folder:x?size=0", r"`size` must be in \[1, 4096\]"),
        ("folder:x?sise=8", r"Unknown option `sise`. .*`fold`, `size`, `channels`"),
        ("csv:x.csv?size=3", r"Unknown option `size`. .*`fold`, `text`, `label`"),
        ("csv:?text=a", r"`csv:` must be followed by a path"),
        ("folder:", r"must be followed by a path"),
        ("folder:?size=3", r"must be followed by a path"),
    ],
)
def test_error_of_a_wrong_spec_says_how_to_fix_it(spec, message):
    with pytest.raises(DatasetError, match=message):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("spec", "content"),
    [
        ("mnist", "images"),
        ("folder:a", "images"),
        ("imdb_reviews", "texts"),
        ("reviews?fold=1", "texts"),
        ("csv:a.csv", "texts"),
    ],
)
def test_content_of_a_spec_is_known_and_checked(spec, content):
    assert parse_spec(spec).content == content
    parse_spec(spec, content=content)
    other = {"images": "texts", "texts": "images"}[content]
    message = rf"holds {content}, not {other}: use (classify|transfer)-{content[:4]}"
    with pytest.raises(DatasetError, match=message):
        parse_spec(spec, content=other)


@pytest.mark.parametrize("spec", ["mnist", "folder:a", "set5", "pixel_tiles?fold=1"])
def test_images_and_folders_serve_as_pictures(spec):
    assert parse_spec(spec, content="pictures") == parse_spec(spec)


@pytest.mark.parametrize(
    ("spec", "content", "message"),
    [
        ("set5", "images", "`set5` has no classes: use denoise-images, colorize-im"),
        ("set5", "texts", "`set5` holds pictures, not texts: use denoise-images"),
        ("reviews", "pictures", "`reviews` holds texts, not pictures: use classify-t"),
    ],
)
def test_other_content_than_pictures_is_refused(spec, content, message):
    with pytest.raises(DatasetError, match=message):
        parse_spec(spec, content=content)


def test_cards_are_complete_and_consistent():
    assert len({card.name for card in CATALOGUE}) == len(CATALOGUE)
    for card in CATALOGUE:
        assert len(set(card.class_names)) == len(card.class_names)
        least = 0 if card.content == "pictures" else 2
        assert len(card.class_names) >= least
        assert (card.source == "pictures") == (card.content == "pictures")
        assert (card.source == "pictures") == (card.files is not None)
        assert (card.source == "tfds") == (card.tfds_name is not None)
        assert (card.source == "tfds") == (card.download_url is not None)
        assert (card.source == "tfds") == card.has_official_test
        for field in ("title", "licence", "permitted_use", "url", "citation"):
            assert getattr(card, field), (card.name, field)
    assert len(find_card("cifar100").class_names) == 100


def test_tfds_data_set_is_present_if_prepared(tmp_path):
    card = find_card("emnist/letters")
    version = tmp_path / "emnist" / "letters" / "3.1.0"
    version.mkdir(parents=True)
    assert not is_present(card, tmp_path)
    (version / "dataset_info.json").touch()
    assert is_present(card, tmp_path)
    # An interrupted download leaves an incomplete folder.
    half = tmp_path / "kmnist" / "incomplete.ABC_3.0.1"
    half.mkdir(parents=True)
    (half / "dataset_info.json").touch()
    assert not is_present(find_card("kmnist"), tmp_path)
    assert is_present(find_card("digits"), tmp_path)


def test_pictures_are_present_if_all_files_are(tmp_path):
    card = find_card("set5")
    folder = tmp_path / "super_resolution" / "Set5"
    folder.mkdir(parents=True)
    for index in range(5):
        assert not is_present(card, tmp_path)
        (folder / f"{index}.png").touch()
    assert is_present(card, tmp_path)
    tiles = find_card("pixel_tiles")
    assert not is_present(tiles, tmp_path)
    (tmp_path / "pixel_tiles").mkdir()
    (tmp_path / tiles.files).touch()
    assert is_present(tiles, tmp_path)


def test_embedded_data_set_is_present_if_its_package_is(monkeypatch):
    for found in (None, object()):
        monkeypatch.setattr("importlib.util.find_spec", lambda _, f=found: f)
        assert is_present(find_card("reviews")) == (found is not None)


def test_data_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert tfds_data_dir() == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert tfds_data_dir() == Path.home() / "tensorflow_datasets"


def test_card_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CATALOGUE[0].name = "other"


def test_catalogue_imports_neither_tensorflow_nor_numpy():
    code = (
        "import sys, modelyard.data.catalogue as c\n"
        "assert not {'tensorflow', 'numpy', 'tensorflow_datasets'} & set(sys.modules)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.perf_counter() - start < 5  # 0.1 s on an idle machine.
