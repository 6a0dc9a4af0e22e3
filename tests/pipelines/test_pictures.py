"""Runs of denoise-, enhance- and colorize-images; the contract is in test_contract."""

import io
import json
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from rich.console import Console
from skimage.color import rgb2lab
from sklearn.datasets import load_sample_image

import modelyard.models  # noqa: F401  Registers the layers.
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.images.pictures import load_evaluation_pictures, load_pictures
from modelyard.data.settings import make_config
from modelyard.exporting.picture_model import export_picture_model
from modelyard.models import (
    build_colorizer,
    build_picture_colorizer,
    build_super_resolver,
)
from modelyard.pipelines import cli
from modelyard.pipelines.colorize_images.config import Config as ColorizeConfig
from modelyard.pipelines.common.pictures import (
    apply_methods,
    load_further,
    read_pictures,
)
from modelyard.pipelines.denoise_images.config import Config as DenoiseConfig
from modelyard.pipelines.denoise_images.config import Network
from modelyard.pipelines.denoise_images.page import describe_noise
from modelyard.pipelines.denoise_images.steps import (
    build_denoiser,
    strip_options,
)
from modelyard.pipelines.enhance_images.steps import receptive_radius
from modelyard.serving.native.loader import NativeModel

from .conftest import PHOTOS, run_in

PIPELINES = ("denoise-images", "colorize-images", "enhance-images")
each_pipeline = pytest.mark.parametrize("name", PIPELINES)
QUIET = Console(quiet=True)


# Prints the shape of the answer, and the peak memory.
_SERVE_ONCE = """
import json, pathlib, resource, sys
import numpy as np
from modelyard.serving.native.loader import NativeModel

export, file = sys.argv[1:]
content = np.array([pathlib.Path(file).read_bytes()], object)
with NativeModel(export) as model:
    answer = model.run("serve_bytes", {"image_bytes": content})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([answer["picture"].shape, peak]))
"""


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def photograph():
    return PIL.Image.fromarray(load_sample_image("china.jpg"))


@pytest.fixture(scope="module")
def odd_folder(photograph, tmp_path_factory):
    """A flat folder of every kind of file that people have."""
    folder = tmp_path_factory.mktemp("odd")
    small = photograph.resize((64, 42))
    small.save(folder / "rgb.png")
    small.convert("RGBA").save(folder / "alpha.png")
    small.convert("P").save(folder / "palette.png")
    small.convert("1").save(folder / "bits.png")
    small.convert("L").save(folder / "grey.png")
    small.convert("CMYK").save(folder / "cmyk.jpg")
    grey = np.asarray(small.convert("L"), "uint16")
    PIL.Image.fromarray(grey * 257).save(folder / "sixteen.png")
    tag = PIL.Image.Exif()
    tag[0x0112] = 6
    small.save(folder / "turned.jpg", exif=tag)
    frames = [small.rotate(90)] * 2
    small.save(folder / "animated.gif", save_all=True, append_images=frames)
    small.save(folder / "mislabelled.jpg", format="PNG")
    small.resize((1, 1)).save(folder / "dot.png")
    photograph.resize((5472, 3648)).save(folder / "large.jpg", quality=80)
    return folder


@pytest.fixture(scope="module")
def odd_runs(odd_folder, tmp_path_factory):
    """A run of each pipeline on the folder."""
    root = tmp_path_factory.mktemp("runs")
    flags = ("--dataset", f"folder:{odd_folder}", "--recipe", "smoke")
    return {
        name: run_in(root, name, *flags, *(("--baseline-examples", "0") * (i == 0)))
        for i, name in enumerate(PIPELINES)
    }


@pytest.mark.slow
@each_pipeline
def test_every_kind_of_file_is_trained_on_and_served(
    name, odd_folder, odd_runs, tmp_path, capsys
):
    export = json.loads((odd_runs[name] / "export.json").read_text())["path"]
    files = sorted(path for path in odd_folder.iterdir() if path.stem != "large")
    arguments = ["predict", export, *map(str, files), "--output", str(tmp_path)]
    assert cli.main(arguments) == 0, capsys.readouterr().err
    scale = 2 if name == "enhance-images" else 1
    for file in files:
        with PIL.Image.open(tmp_path / f"{file.stem}.png") as answer:
            size = {"dot": (1, 1), "turned": (42, 64)}.get(file.stem, (64, 42))
            assert answer.size == tuple(scale * side for side in size), file.name


@pytest.mark.slow
def test_large_photograph_is_served_within_three_gigabytes(odd_folder, odd_runs):
    export = json.loads((odd_runs["denoise-images"] / "export.json").read_text())
    arguments = [export["path"], str(odd_folder / "large.jpg")]
    # A process of its own, whose peak is that of the request.
    done = subprocess.run(
        [sys.executable, "-c", _SERVE_ONCE, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    shape, kilobytes = json.loads(done.stdout)
    assert shape == [1, 3648, 5472, 3]
    assert kilobytes < 3_000_000


@each_pipeline
@pytest.mark.parametrize(
    ("file", "content", "cause"),
    [
        ("cut.png", "truncated", "Invalid PNG data"),
        ("text.jpg", "text", "Unknown image file format"),
        ("palette.bmp", "palette", "24 or 32 bits per pixel"),
    ],
)
def test_bad_file_is_named_before_anything_is_written(
    name, file, content, cause, photograph, tmp_path, capsys
):
    folder = tmp_path / "pictures"
    folder.mkdir()
    small = photograph.resize((40, 30))
    for number in range(4):
        small.save(folder / f"{number}.png")
    if content == "palette":
        small.convert("P").save(folder / file)
    elif content == "text":
        (folder / file).write_bytes(b"no picture")
    else:
        (folder / file).write_bytes((folder / "0.png").read_bytes()[:500])
    runs = tmp_path / "runs"
    arguments = ("--dataset", f"folder:{folder}", "--runs-dir", str(runs))
    assert cli.main(["run", name, *arguments]) == 1
    message = capsys.readouterr().err
    assert file in message.replace("\n", "")
    assert cause in " ".join(message.split())
    assert not runs.exists()


@each_pipeline
def test_missing_set_to_measure_on_is_refused_before_anything_is_written(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    message = r"set5.*super_resolution/Set5"
    with pytest.raises(DatasetUnavailableError, match=message):
        run_in(tmp_path, name, *PHOTOS, "--evaluate-on", "set5")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_folder_of_one_picture_is_cut_into_splits(photograph, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    photograph.resize((96, 100)).save(folder / "only.png")
    flags = ("--dataset", f"folder:{folder}", "--recipe", "smoke", "--no-export")
    run = run_in(tmp_path, "denoise-images", *flags)
    assert _metrics(run)["test"]["num_examples"] == 1


def test_all_methods_get_the_same_input_and_the_truth_stays_apart():
    truths = list(np.random.default_rng(0).integers(0, 256, (5, 6, 7, 1), "uint8"))
    seen = []

    def method(pixels):
        seen.append(pixels)
        return pixels + 300

    def degrade(pixels, seed):
        return pixels + tf.random.stateless_uniform(pixels.shape, seed).numpy()

    methods = {"a": method, "b": method}
    measured = apply_methods(list("abcde"), truths, degrade, methods, QUIET)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != np.stack(truths)).any()
    assert (np.stack(measured.results["a"]) == 255).all()  # Clipped, as when served.
    apply_methods(list("abcde"), truths, degrade, methods, QUIET)
    np.testing.assert_array_equal(seen[0], seen[2])  # The same in every measurement.


def test_pictures_are_measured_in_order_whatever_their_sizes(tmp_path):
    sizes = [(5, 4), (5, 4), (9, 9), (5, 4), (1300, 2)]
    for number, size in enumerate(sizes):
        pixels = np.full((*size, 3), 10 * number, "uint8")
        PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    pictures = load_evaluation_pictures(f"folder:{tmp_path}", channels=3)
    names, truths = read_pictures(pictures)
    assert names == [f"{number}.png" for number in range(5)]
    # Of a large picture, the centre.
    assert [truth.shape[:2] for truth in truths] == [*sizes[:-1], (1024, 2)]
    measured = apply_methods(
        names, truths, lambda pixels, _: pixels, {"same": lambda x: x}, QUIET
    )
    for truth, result in zip(truths, measured.results["same"], strict=True):
        np.testing.assert_array_equal(truth, result)
    names, truths = read_pictures(pictures, multiple=4)
    assert names == ["0.png", "1.png", "2.png", "3.png"]  # The last is too narrow.
    assert {truth.shape[:2] for truth in truths} == {(4, 4), (8, 8)}


# Denoising.


def test_denoiser_removes_noise(sample):
    run = sample("denoise-images")
    metrics = run.read("metrics.json")
    assert set(metrics["methods"]) == {"noisy input", "this model"}
    assert metrics["test"]["num_examples"] == 360
    assert set(metrics["classical"]) == {
        *("noisy input", "this model", "non-local means", "wavelets"),
        *("total variation", *(["BM3D"] if find_spec("bm3d") else [])),
    }
    assert metrics["classical"]["wavelets"]["num_examples"] == 4
    # Sigma 25: 20 log10(255 / 25) is 20.2 dB, and clipping helps a little.
    assert 20 < metrics["methods"]["noisy input"]["psnr"] < 23
    assert set(metrics["evaluated_on"]) == {"photos"}
    levels = metrics["levels"]["noisy input"]
    assert [level for level, _ in levels] == [5, 10, 15, 20, 25, 31.25, 37.5, 50]
    ratios = [ratio for _, ratio in levels]
    assert ratios == sorted(ratios, reverse=True)


@pytest.fixture(scope="module")
def noise_map_run(tmp_path_factory):
    root = tmp_path_factory.mktemp("map")
    flags = ("--noise-map", "--min-noise-level", "5", "--noise-level", "50")
    small = ("--max-train-examples", "400", "--epochs", "20", "--depth", "6")
    return run_in(root, "denoise-images", *PHOTOS, *flags, *small)


@pytest.mark.slow
def test_model_with_noise_map_is_served_blind_and_with_a_level(noise_map_run):
    metrics = _metrics(noise_map_run)["methods"]
    noisy = metrics["noisy input"]["psnr"]
    assert metrics["this model"]["psnr"] > noisy + 0.5
    assert metrics["this model, level given"]["psnr"] > noisy + 0.5
    export = json.loads((noise_map_run / "export.json").read_text())["path"]
    pixels = load_pictures("photos").test[0][None].astype("float32")
    with NativeModel(export) as model:
        results = [
            model.run("denoise", {"pixels": pixels, "noise_level": np.float32([level])})
            for level in (5, 50)
        ]
        blind = model.run("serving_default", {"pixels": pixels})
    first, second = (result["picture"] for result in results)
    assert np.abs(first - second).mean() > 0.1
    # A clean picture is taken for one with little noise.
    assert (
        np.abs(blind["picture"] - first).mean()
        < np.abs(blind["picture"] - second).mean()
    )


def test_default_levels_fit_the_kind_of_noise():
    expected = {
        "gaussian": "Gaussian, standard deviation 25",
        "poisson": "Poisson, standard deviation 25 at white",
        "salt_and_pepper": "salt and pepper, 10% of the pixels",
        "erased_squares": "erased squares, side 8",
    }
    for kind, text in expected.items():
        config = make_config(DenoiseConfig, {"noise": kind})
        assert describe_noise(config.noise.resolve()) == text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["poisson", "salt_and_pepper", "erased_squares"])
def test_each_kind_of_noise_runs(kind, tmp_path):
    flags = ("--noise", kind, "--no-export", "--max-train-examples", "10")
    run = run_in(tmp_path, "denoise-images", *PHOTOS, *flags)
    metrics = _metrics(run)
    assert metrics["methods"]["noisy input"]["psnr"] < 45
    # Classical methods need a standard deviation.
    assert ("classical" in metrics) == (kind == "poisson")
    assert bool(metrics["levels"]) == (kind != "erased_squares")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "dncnn"}, "`model` must be one of residual_denoiser"),
        ({"baseline_examples": -1}, "`baseline_examples` must be at least 0"),
        ({"patch_size": 0}, "`patch_size` must be at least 1"),
        (
            {"noise_map": True, "model": "denoising_autoencoder"},
            "`model` must be residual_denoiser with --noise-map",
        ),
        (
            {"noise_map": True, "noise": "poisson"},
            "`noise` must be gaussian with --noise-map",
        ),
    ],
)
def test_denoise_settings_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_config(DenoiseConfig, fields)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--noise-level", "0"), "`noise_level` must be above 0.*noise_level=0"),
        (("--min-noise-level", "30"), "`min_noise_level` must be from 0 to"),
        (("--depth", "2"), "`depth` must be an integer of at least 4"),
    ],
)
def test_noise_that_cannot_be_is_refused_before_anything_is_written(
    flags, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        run_in(tmp_path, "denoise-images", *PHOTOS, *flags)
    assert not (tmp_path / "runs").exists()


# Super-resolution.


def test_plain_filters_are_measured_on_the_luminance(sample):
    run = sample("enhance-images")
    metrics = run.read("metrics.json")
    methods = metrics["methods"]
    assert set(methods) == {"nearest pixel", "bicubic", "Lanczos", "this model"}
    assert methods["bicubic"]["psnr"] > methods["nearest pixel"]["psnr"]
    page = (run.folder / "report.html").read_text()
    assert "enlarged 3x" in page
    assert page.count('alt="bicubic"') == 8 + 6


def test_served_picture_is_enlarged_and_its_file_holds_the_same_pixels(sample):
    run = sample("enhance-images")
    pixels = load_pictures("photos").test[3][None, :20, :31].astype("float32")
    trained = keras.models.load_model(run.folder / "model.keras")
    with NativeModel(run.export) as model:
        answer = model.run("serving_default", {"pixels": pixels})
    expected = keras.ops.convert_to_numpy(trained(pixels)).clip(0, 255)
    np.testing.assert_allclose(answer["picture"], expected, atol=0.05)
    with PIL.Image.open(io.BytesIO(answer["picture_bytes"][0])) as picture:
        shown = np.asarray(picture)
    assert shown.shape == (60, 93, 3)
    difference = shown - answer["picture"][0].clip(0, 255)
    assert np.abs(difference).max() <= 0.51


def test_scale_that_no_picture_allows_is_refused(tmp_path):
    for number in range(4):
        PIL.Image.new("RGB", (1, 9), (number, 0, 0)).save(tmp_path / f"{number}.png")
    flags = ("--dataset", f"folder:{tmp_path}", "--recipe", "smoke", "--no-export")
    with pytest.raises(ValueError, match=r"`scale` must be at most .* 1\. .*scale=4"):
        run_in(tmp_path / "root", "enhance-images", *flags, "--scale", "4")
    assert not (tmp_path / "root").exists()


@pytest.mark.slow
@pytest.mark.real_data("set5")
def test_bicubic_on_set5_is_that_of_the_literature():
    from modelyard.models import build_super_resolver
    from modelyard.pipelines.enhance_images.steps import measure, method_metrics

    model = build_super_resolver(2, 3, blocks=1, width=4)
    pictures = load_evaluation_pictures("set5", channels=3)
    metrics = method_metrics(measure(model, pictures, 2, QUIET), 2)
    # Dong et al., 2016: 33.66 dB and 0.9299.
    assert metrics["bicubic"]["psnr"] == pytest.approx(33.66, abs=0.05)
    assert metrics["bicubic"]["ssim"] == pytest.approx(0.9299, abs=0.002)


# Colorization.


def test_colorizer_reads_the_lightness_and_keeps_it(sample):
    run = sample("colorize-images")
    metrics = run.read("metrics.json")
    assert set(metrics["methods"]) == {"grey copy", "mean chroma", "this model"}
    assert metrics["methods"]["grey copy"]["colorfulness_ratio"] < 0.01
    model = keras.models.load_model(run.folder / "model.keras")
    pixels = load_pictures("photos").test[5][None].astype("float32")
    grey = rgb2lab(pixels / 255)[..., :1]
    result = keras.ops.convert_to_numpy(model(pixels))
    difference = rgb2lab(result / 255)[..., :1] - grey
    assert np.abs(difference).mean() < 0.5  # Colours beyond sRGB are clipped.
    # The colours of the input make no difference.
    from skimage.color import lab2rgb

    copy = 255 * lab2rgb(np.concatenate([grey, 0 * grey, 0 * grey], axis=-1))
    again = keras.ops.convert_to_numpy(model(copy.astype("float32")))
    assert np.abs(result - again).max() < 1


@pytest.mark.slow
def test_distribution_is_trained_served_and_judged_by_a_classifier(tmp_path):
    classify = ("--model", "lenet", "--no-export", "--epochs", "1")
    judge = run_in(tmp_path, "classify-images", *PHOTOS, *classify) / "model.keras"
    flags = ("--model", "distribution_colorizer", "--classifier", judge)
    run = run_in(tmp_path, "colorize-images", *PHOTOS, *flags)
    accuracies = _metrics(run)["classifier_accuracy"]
    assert set(accuracies) == {"original", "grey copy", "mean chroma", "this model"}
    splits = load_pictures("photos")
    assert _metrics(run)["test"]["num_examples"] == len(splits.test)
    assert "Accuracy of a classifier" in (run / "report.html").read_text()
    assert (run / "export.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset", "digits"), "`dataset` must hold pictures in colour"),
        (("--classifier", "nowhere.keras"), "`classifier` must be a .keras file"),
        (("--dataset", "imdb_reviews"), "holds texts"),
    ],
)
def test_colorizer_without_use_is_refused_before_anything_is_written(
    flags, message, tmp_path
):
    with pytest.raises((ValueError, DatasetError), match=message):
        run_in(tmp_path, "colorize-images", "--recipe", "smoke", *flags)
    assert not (tmp_path / "runs").exists()


def test_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="`temperature` must be above 0"):
        make_config(ColorizeConfig, {"temperature": 0.0})


# Large pictures are cut into strips.

STRIPPED = {
    "downscale_1": ({"downscale": 1, "depth": 4}, "residual_denoiser"),
    "downscale_2": ({"downscale": 2, "depth": 4}, "residual_denoiser"),
    "plain": ({"shortcuts": False, "depth": 4}, "residual_denoiser"),
    "downscale_3": ({"downscale": 3, "depth": 4}, "residual_denoiser"),
    "autoencoder": ({"widths": (4, 4)}, "denoising_autoencoder"),
    "deep_autoencoder": ({"widths": (4, 4, 4, 4)}, "denoising_autoencoder"),
}


def _fill(model):
    """Sets the kernels that start as zeros."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if not keras.ops.any(weight):
            weight.assign(rng.normal(0, 0.05, weight.shape))


def _export_in_strips(model, base, **options):
    golden = np.random.default_rng(0).integers(0, 256, (2, 12, 9, 1), "uint8")
    return export_picture_model(
        model,
        base,
        task="denoise-images",
        channels=1,
        golden_pictures=golden,
        extra_files=[],
        strip_pixels=200,
        **options,
    )


@pytest.mark.parametrize("case", STRIPPED)
def test_denoiser_in_strips_gives_the_whole_picture(case, tmp_path):
    fields, name = STRIPPED[case]
    network = Network(width=6, **({"widths": (4,)} | fields))
    model = build_denoiser(name, 1, network)
    _fill(model)
    path = _export_in_strips(model, tmp_path / "m", **strip_options(name, network))
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 331, 10, 1)).astype("float32")
    with NativeModel(path) as loaded:
        answer = loaded.run("serving_default", {"pixels": pixels})["picture"]
    expected = keras.ops.convert_to_numpy(model(pixels, training=False)).clip(0, 255)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(answer, expected, atol=0.02)


def test_super_resolver_in_strips_gives_the_whole_picture(tmp_path):
    model = build_super_resolver(3, 1, blocks=2, width=6)
    _fill(model)
    path = _export_in_strips(model, tmp_path / "m", halo=receptive_radius(2), scale=3)
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 211, 10, 1)).astype("float32")
    with NativeModel(path) as loaded:
        answer = loaded.run("serving_default", {"pixels": pixels})["picture"]
    expected = keras.ops.convert_to_numpy(model(pixels, training=False)).clip(0, 255)
    np.testing.assert_allclose(answer, expected, atol=0.02)


def test_thin_picture_is_not_enlarged_before_it_is_coloured():
    colorizer = build_colorizer(widths=(4, 8))
    model = build_picture_colorizer(colorizer, short_side=32)
    pixels = np.zeros((1, 1, 2048, 3), "float32")
    seen = keras.Model(model.input, model.get_layer("shrink").output)(pixels)
    assert seen.shape == (1, 1, 2048, 3)
    assert model(pixels).shape == (1, 1, 2048, 3)


@each_pipeline
def test_set_of_the_run_is_not_measured_twice(name, tmp_path):
    with pytest.raises(ValueError, match="`evaluate_on` must not name the data set"):
        run_in(tmp_path, name, *PHOTOS, "--evaluate-on", "photos")
    assert not (tmp_path / "runs").exists()


def test_copies_of_training_pictures_in_another_set_are_counted(photograph, tmp_path):
    parts = [tmp_path / "own", tmp_path / "other"]
    for part in parts:
        part.mkdir()
    for number in range(8):
        piece = photograph.crop((40 * number, 0, 40 * number + 40, 40))
        piece.save(parts[0] / f"{number}.png")
        if number < 3:
            piece.save(parts[1] / f"copy{number}.png")
    splits = load_pictures(f"folder:{parts[0]}")
    _, splits = load_further([f"folder:{parts[1]}"], splits)
    in_train = {"0.png", "1.png", "2.png"} & set(splits.train.names)
    (found,) = [n for key, n in splits.findings.items() if "duplicates of" in key]
    assert found == len(in_train)
