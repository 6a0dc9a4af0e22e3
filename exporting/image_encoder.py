"""From a trained image encoder to a published, checked SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.exporting.images import any_image, decode_images, encode_images
from modelyard.exporting.publishing import (
    add_bytes_endpoint,
    add_endpoint,
    publish_export,
)
from modelyard.serving.description import ExportDescription

# Codes may have any scale, and pixels are in [0, 255].
_TOLERANCE = 0.001


def export_image_encoder(
    model: keras.Model,
    base: Path,
    *,
    task: str,
    golden_images: np.ndarray,
    extra_files: Sequence[Path],
) -> Path:
    """Publishes an autoencoder as the next version under `base`, after the gate.

    Signatures: `serving_default` and `encode` (pixels -> codes), `serve_bytes`
    (encoded JPEG, PNG, GIF or BMP images -> codes) and `reconstruct` (pixels ->
    reconstruction, reconstruction_bytes: PNG files).

    Args:
        model: Float32 model from pixels in [0, 255] to reconstructions, with a layer
            named `code`.
        base: `saved_models/<name>`; created if needed.
        task: Name of the pipeline.
        golden_images: uint8 `(n, height, width, channels)`; the export must encode and
            reconstruct them as the model does.
        extra_files: Files that are copied to `assets.extra/`.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        OSError: If it cannot be written; nothing is published.
    """
    encoder = keras.Model(model.input, model.get_layer("code").output)
    shape = model.input_shape[1:]

    def encode(pixels):
        return {"codes": encoder(pixels, training=False)}

    def encode_bytes(image_bytes):
        return encode(decode_images(image_bytes, shape))

    def reconstruct(pixels):
        images = model(pixels, training=False)
        rounded = tf.saturate_cast(tf.round(images), tf.uint8)
        files = tf.map_fn(tf.io.encode_png, rounded, fn_output_signature=tf.string)
        return {"reconstruction": images, "reconstruction_bytes": files}

    def make_archive():
        archive = keras.export.ExportArchive()
        pixels = tf.TensorSpec((None, *shape), tf.float32, name="pixels")
        for name, function in (
            ("serving_default", encode),
            ("encode", encode),
            ("reconstruct", reconstruct),
        ):
            add_endpoint(archive, name, function, pixels)
        add_bytes_endpoint(
            archive, "serve_bytes", encode_bytes, "image_bytes", filler=any_image()
        )
        return archive

    pixels = {"pixels": golden_images.astype("float32")}
    codes = {"codes": _predict(encoder, pixels)}
    # The PNG files are not compared: a value near a half may be rounded either way.
    reconstruction = {"reconstruction": _predict(model, pixels)}
    return publish_export(
        base,
        make_archive,
        golden={
            "serving_default": (pixels, codes),
            "encode": (pixels, codes),
            "reconstruct": (pixels, reconstruction),
            "serve_bytes": ({"image_bytes": encode_images(golden_images)}, codes),
        },
        description=ExportDescription(task, kind="codes", inputs="images"),
        extra_files=extra_files,
        tolerance=_TOLERANCE,
    )


def _predict(model: keras.Model, pixels: dict[str, np.ndarray]) -> np.ndarray:
    """The outputs of the trained model."""
    return keras.ops.convert_to_numpy(model(pixels["pixels"], training=False))
