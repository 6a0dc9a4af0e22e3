"""Images are saved where the user asks, and never over an input."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard.serving.predict.image import ImageAnswer, read, save_images


@pytest.fixture
def answer(load, image):
    (found,) = load("image", "image").predict([image])
    return found


def named(answer, *labels):
    """Copies an answer for several inputs."""
    return [dataclasses.replace(answer, input=label) for label in labels]


def test_single_image_is_saved_to_the_file_named(answer, image, tmp_path):
    path = tmp_path / "made/out.png"
    (saved,) = save_images([answer], path)
    assert saved.describe() == f"{image}: saved to {path} (2x2)"
    pixels = np.asarray(Image.open(path))
    np.testing.assert_array_equal(pixels, 255 - np.asarray(Image.open(image)))
    assert dataclasses.asdict(saved) == {
        "input": str(image),
        "path": str(path),
        "width": 2,
        "height": 2,
        "error": "",
    }


def test_images_of_files_and_arrays_are_saved_to_a_folder(
    load, image, images, tmp_path
):
    answers = load("image", "image").predict([image, images])
    saved = save_images(answers, tmp_path / "out")
    names = ["image.png", "images-0.png", "images-1.png"]
    assert [Path(a.path) for a in saved] == [tmp_path / "out" / name for name in names]
    assert (tmp_path / "out/image.png").read_bytes() == (
        tmp_path / "out/images-1.png"
    ).read_bytes()


def test_inputs_of_one_name_get_different_files(answer, tmp_path):
    labels = ["a/x.jpg", "b/x.jpg", "c/x.png", "", "line\nbreak", "é" * 300, "a\0b"]
    saved = save_images(named(answer, *labels), tmp_path)
    names = [Path(a.path).name for a in saved]
    assert names[:5] == ["x.png", "x-2.png", "x-3.png", "image.png", "line break.png"]
    assert len(list(tmp_path.iterdir())) == len(labels)


def test_later_prediction_replaces_the_earlier_one(answer, tmp_path):
    save_images([answer], tmp_path)
    (saved,) = save_images([answer], tmp_path)
    assert saved.path == str(tmp_path / "image.png")


def test_input_is_never_overwritten(answer, tmp_path):
    for output in (tmp_path, tmp_path / "photo.png"):
        photo = tmp_path / "photo.png"
        photo.write_bytes(b"precious")
        (tmp_path / "here").mkdir(exist_ok=True)
        alias = tmp_path / "here/../photo.png"
        with pytest.raises(ValueError, match=r"`output` must not overwrite an input"):
            save_images(named(answer, str(alias)), output)
        assert photo.read_bytes() == b"precious"


def test_failed_inputs_are_passed_through(answer, tmp_path):
    failed = ImageAnswer("bad.png", error="bad.png: no image")
    saved = save_images([failed, answer], tmp_path)
    assert saved[0] == failed
    assert saved[0].describe() == "bad.png: no image"
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_missing_or_wrong_output_is_refused(answer, tmp_path):
    with pytest.raises(ValueError, match="pass `--output`"):
        save_images([answer], None)
    with pytest.raises(ValueError, match=r"must be a folder .*for 2 images"):
        save_images([answer, answer], tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_unsaved_image_has_no_bytes_in_json(answer):
    content = json.loads(json.dumps(dataclasses.asdict(answer)))
    assert content["path"] is None
    assert answer.describe().endswith("not saved (2x2)")
    assert answer.image_bytes.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "outputs",
    [
        {"image": np.array([b"\x89PNG"], object)},
        {"image_bytes": np.array([b"GIF89a" + bytes(30)], object)},
        {"image_bytes": np.zeros(1, np.float32)},
        {name: np.array([b"\x89PNG"], object) for name in ("a_bytes", "b_bytes")},
    ],
)
def test_other_outputs_are_refused(outputs):
    with pytest.raises(ValueError, match=r"must return PNG files"):
        read("serving_default", None, outputs, ["x"])
