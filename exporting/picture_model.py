"""From a trained image-to-image model to a published, checked SavedModel."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from modelyard.data.images.decoding import decode_picture
from modelyard.exporting.images import any_image, encode_images
from modelyard.exporting.publishing import (
    add_bytes_endpoint,
    add_endpoint,
    publish_export,
)
from modelyard.serving.description import ExportDescription
from modelyard.serving.golden import GoldenRequest

_TOLERANCE = 0.05  # Of pixels in [0, 255].
_STRIP_PIXELS = 2**20
_UNEQUAL = (
    "All images of a request must have the same size; send images of other sizes in "
    "requests of their own."
)
_EMPTY = "Images must have at least one pixel."

Process = Callable[..., Any]


class ExtraSignature(NamedTuple):
    """A signature with inputs beside the pixels, such as a noise level.

    Attributes:
        process: A Keras model's method or a function from pixels, as for
            `export_picture_model`, and the tensors of `inputs` in their order, to
            pictures. A part of a request may come alone: one picture, with its row of
            each input, or a strip of it.
        inputs: Example values by name, each `(n, ...)` for the `n` golden pictures. The
            signature takes arrays of this dtype and shape, with any number of rows.
    """

    process: Process
    inputs: Mapping[str, np.ndarray]


class _Strips(NamedTuple):
    """How large pictures are cut: sizes in pixels of the input."""

    halo: int | None
    multiple: int
    max_pixels: int
    scale: int


def export_picture_model(
    process: keras.Model | Process,
    base: Path,
    *,
    task: str,
    channels: int,
    golden_pictures: np.ndarray,
    extra_files: Sequence[Path],
    halo: int | None = None,
    multiple: int = 8,
    strip_pixels: int = _STRIP_PIXELS,
    scale: int = 1,
    more_signatures: Mapping[str, ExtraSignature] | None = None,
) -> Path:
    """Publishes an image-to-image model as the next version under `base`.

    Signatures: `serving_default` (pixels -> picture, picture_bytes: PNG files),
    `serve_bytes` (encoded JPEG, PNG, GIF or BMP images -> the same) and those of
    `more_signatures` (pixels and more -> the same). The images of a request must have
    one size, any size. A request without images is answered with empty arrays.

    If a request holds more than `strip_pixels` pixels, its pictures are processed one
    after the other, and with `halo` in horizontal strips, so that memory stays bounded.
    A strip sees `halo` rows of context above and below it, and it starts at a multiple
    of `multiple`, so the result is that of the whole picture.

    Args:
        process: Model or function from float32 `(n, height, width, channels)` in
            [0, 255] to float32 `(n, scale * height, scale * width, out_channels)`, for
            any height and width. The export clips the result to [0, 255].
        base: `saved_models/<name>`; created if needed.
        task: Name of the pipeline.
        channels: Channels of the input, 1 (grey) or 3 (RGB).
        golden_pictures: uint8 `(n, height, width, channels)`; the export must process
            them as `process` does.
        extra_files: Files that are copied to `assets.extra/`.
        halo: Radius of the receptive field in pixels of the input; rounded up to
            `multiple`. `None` if a pixel can depend on the whole picture: then pictures
            are never cut.
        multiple: Multiple of pixels at which strips may start: a multiple of every
            stride and of every block size of pixel shuffling.
        strip_pixels: Most pixels of the input to process at once, except that a strip
            has at least `multiple` rows and twice as many as its context on one side.
        scale: Factor by which `process` enlarges both sides.
        more_signatures: Further signatures by name.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        ValueError: If an argument is out of its range or `golden_pictures` does not
            have `channels` channels.
        GateError: If the export fails its checks; nothing is published.
        OSError: If it cannot be written; nothing is published.
    """
    _check(channels, golden_pictures, halo, multiple, strip_pixels, scale)
    taken = {"serving_default", "serve_bytes"} & set(more_signatures or {})
    if taken:
        raise ValueError(
            "`more_signatures` must not replace others. "
            f"Received: {', '.join(sorted(taken))}"
        )
    strips = _Strips(halo, multiple, strip_pixels, scale)
    pictures = golden_pictures.astype("float32")
    plain = ExtraSignature(_as_function(process), {})
    signatures = {"serving_default": plain, **(more_signatures or {})}
    golden = {
        name: _golden_request(signature, pictures)
        for name, signature in signatures.items()
    }
    served = {
        name: functools.partial(
            _answer, signature.process, strips, golden[name][1]["picture"].shape[-1]
        )
        for name, signature in signatures.items()
    }
    golden["serve_bytes"] = (
        {"image_bytes": encode_images(golden_pictures)},
        golden["serving_default"][1],
    )

    def serve_bytes(image_bytes):
        return served["serving_default"](_decode(image_bytes, channels))

    def make_archive():
        archive = keras.export.ExportArchive()
        for name, signature in signatures.items():
            specs = [
                tf.TensorSpec((None, None, None, channels), tf.float32, "pixels"),
                *(
                    tf.TensorSpec((None, *np.shape(value)[1:]), value.dtype, key)
                    for key, value in signature.inputs.items()
                ),
            ]
            add_endpoint(archive, name, served[name], *specs)
        add_bytes_endpoint(
            archive, "serve_bytes", serve_bytes, "image_bytes", filler=any_image()
        )
        return archive

    return publish_export(
        base,
        make_archive,
        golden=golden,
        description=ExportDescription(task, kind="image", inputs="images"),
        extra_files=extra_files,
        tolerance=_TOLERANCE,
    )


def _as_function(process: keras.Model | Process) -> Process:
    """A function that runs a model for inference."""
    if isinstance(process, keras.Model):
        return functools.partial(process, training=False)
    return process


def _golden_request(signature: ExtraSignature, pictures: np.ndarray) -> GoldenRequest:
    """A request with the answer of the trained model."""
    result = signature.process(
        tf.constant(pictures), *map(tf.constant, signature.inputs.values())
    )
    # The PNG files are not compared: a value near a half may be rounded either way.
    return (
        {"pixels": pictures, **signature.inputs},
        {"picture": keras.ops.convert_to_numpy(result).clip(0, 255)},
    )


def _decode(image_bytes: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes files `(n,)` of one size to float32 `(n, height, width, channels)`."""
    count = tf.shape(image_bytes)[0]
    # Flat, because pictures of different sizes could not be stacked for the check.
    flat = tf.TensorArray(
        tf.float32, count, element_shape=(None, channels), infer_shape=False
    )
    sizes = tf.TensorArray(tf.int32, count, element_shape=(2,))

    def decode_next(index, flat, sizes):
        picture = decode_picture(image_bytes[index], channels=channels)
        pixels = tf.reshape(picture, (-1, channels))
        size = tf.shape(picture)[:2]
        return index + 1, flat.write(index, pixels), sizes.write(index, size)

    _, flat, sizes = tf.while_loop(
        lambda index, *_: index < count, decode_next, (0, flat, sizes)
    )
    sizes = sizes.stack()
    largest = tf.reduce_max(sizes, 0)
    check = tf.debugging.assert_equal(sizes, largest[None], message=_UNEQUAL)
    with tf.control_dependencies([check]):
        shape = (count, largest[0], largest[1], channels)
        return tf.reshape(flat.concat(), shape)


def _answer(
    process: Process,
    strips: _Strips,
    out_channels: int,
    pixels: tf.Tensor,
    *extra: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The outputs of a signature."""
    picture = _process_parts(process, strips, out_channels, pixels, *extra)
    rounded = tf.saturate_cast(tf.round(picture), tf.uint8)
    files = tf.map_fn(tf.io.encode_png, rounded, fn_output_signature=tf.string)
    return {"picture": picture, "picture_bytes": files}


def _process_parts(
    process: Process,
    strips: _Strips,
    out_channels: int,
    pixels: tf.Tensor,
    *extra: tf.Tensor,
) -> tf.Tensor:
    """Processes all pictures at once, or strip by strip if there are many pixels."""
    shape = tf.shape(pixels)
    is_filled = tf.reduce_min(shape[1:3]) > 0
    with tf.control_dependencies([tf.debugging.Assert(is_filled, [_EMPTY])]):
        shape = tf.identity(shape)  # Zeros are refused before they are divided by.
    count, height, width = shape[0], shape[1], shape[2]
    is_small = _num_pixels(shape) <= strips.max_pixels
    rows, halo = _strip_rows(strips, height, width)
    rows = tf.where(is_small, height, rows)
    per_picture = (height + rows - 1) // rows
    taken = tf.where(is_small, count, 1)
    # One loop for all cases, because every call of `process` repeats its whole graph.
    num_parts = tf.where(is_small, 1, count * per_picture)

    def process_next(index, parts):
        picture = index // per_picture
        start = (index % per_picture) * rows
        end = tf.minimum(start + rows, height)
        begin = tf.maximum(start - halo, 0)
        seen = pixels[picture : picture + taken, begin : tf.minimum(end + halo, height)]
        result = process(seen, *(row[picture : picture + taken] for row in extra))
        result = tf.clip_by_value(tf.cast(result, tf.float32), 0.0, 255.0)
        top, bottom = strips.scale * (start - begin), strips.scale * (end - begin)
        part = tf.reshape(result[:, top:bottom], (-1, out_channels))
        return index + 1, parts.write(index, part)

    parts = tf.TensorArray(
        tf.float32, num_parts, element_shape=(None, out_channels), infer_shape=False
    )
    _, parts = tf.while_loop(
        lambda index, _: index < num_parts,
        process_next,
        (0, parts),
        parallel_iterations=1,  # More strips at a time would take more memory.
    )
    size = (count, strips.scale * height, strips.scale * width, out_channels)
    return tf.reshape(parts.concat(), size)


def _num_pixels(shape: tf.Tensor) -> tf.Tensor:
    """Pixels of a batch, int64."""
    return tf.reduce_prod(tf.cast(shape[:3], tf.int64))


def _strip_rows(
    strips: _Strips, height: tf.Tensor, width: tf.Tensor
) -> tuple[tf.Tensor, int]:
    """Rows of a strip, and rows of context on each side."""
    if strips.halo is None:
        return height, 0
    multiple = strips.multiple
    halo = -(-strips.halo // multiple) * multiple
    rows = strips.max_pixels // width // multiple * multiple
    return tf.maximum(rows, max(multiple, 2 * halo)), halo


def _check(
    channels: int,
    pictures: np.ndarray,
    halo: int | None,
    multiple: int,
    strip_pixels: int,
    scale: int,
) -> None:
    """Checks the arguments of `export_picture_model`."""
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels}")
    if pictures.ndim != 4 or pictures.shape[-1] != channels or not pictures.size:
        raise ValueError(
            "`golden_pictures` must have the shape (pictures, height, width, "
            f"{channels}), with at least one pixel. "
            f"Received: golden_pictures.shape={pictures.shape}"
        )
    if halo is not None and halo < 0:
        raise ValueError(f"`halo` must be 0 or more, or None. Received: halo={halo}")
    for name, number in (
        ("multiple", multiple),
        ("strip_pixels", strip_pixels),
        ("scale", scale),
    ):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={number}")
