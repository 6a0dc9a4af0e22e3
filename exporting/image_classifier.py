"""From a trained image classifier to a published, checked SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.data.images.decoding import decode_image_bytes
from modelyard.evaluation.heat_maps import Explainer, make_explainer
from modelyard.exporting.publishing import (
    GateError,
    Request,
    bytes_example,
    expected_answer,
    make_answer,
    publish_export,
)

__all__ = ["GateError", "export_image_classifier"]


def export_image_classifier(
    model: keras.Model,
    base: Path,
    *,
    class_names: Sequence[str],
    golden_images: np.ndarray,
    extra_files: Sequence[Path],
    explain: bool = False,
) -> Path:
    """Publishes a classifier as the next version under `base`, past the gate.

    Signatures: `serving_default` (pixels -> scores, classes), `serve_bytes`
    (encoded JPEG, PNG, GIF or BMP images -> the same), `classify` (tf.Examples
    with the feature `image` -> the same), `embed` (pixels -> the features that
    the last layer sees) and, if wanted, `explain` (pixels -> scores, classes,
    heat_maps of the class with the highest score).

    Args:
        model: Float32 model from pixels in [0, 255] to logits, with a layer
            named `features`.
        base: `saved_models/<name>`; created if needed.
        class_names: Names of the logits, in order.
        golden_images: uint8 `(n, height, width, channels)`; what the model says
            of them now is what the export must say.
        extra_files: Files that are copied to `assets.extra/`.
        explain: Whether to add the signature `explain`, for which the model needs
            what `make_explainer` asks for.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        StorageError: If it cannot be written; nothing is published.
    """
    explainer = make_explainer(model) if explain else None
    return publish_export(
        base,
        lambda: _make_archive(model, class_names, explainer),
        golden=_golden_requests(model, golden_images, class_names, explainer),
        class_names=class_names,
        extra_files=extra_files,
    )


def _make_archive(
    model: keras.Model, class_names: Sequence[str], explainer: Explainer | None
) -> keras.export.ExportArchive:
    """Gathers the signatures."""
    shape = model.input_shape[1:]
    answer = make_answer(class_names)
    embedder = keras.Model(model.input, model.get_layer("features").output)

    def predict(pixels):
        return answer(model(pixels, training=False))

    def predict_bytes(image_bytes):
        height, width, channels = shape
        return predict(
            tf.map_fn(
                lambda encoded: decode_image_bytes(
                    encoded, height=height, width=width, channels=channels
                ),
                image_bytes,
                fn_output_signature=tf.TensorSpec(shape, tf.float32),
            )
        )

    def predict_examples(inputs):
        feature = {"image": tf.io.FixedLenFeature([], tf.string)}
        return predict_bytes(tf.io.parse_example(inputs, feature)["image"])

    def embed(pixels):
        return {"embedding": embedder(pixels, training=False)}

    pixels = tf.TensorSpec((None, *shape), tf.float32, name="pixels")
    strings = (
        ("serve_bytes", predict_bytes, "image_bytes"),
        ("classify", predict_examples, "inputs"),
    )
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", predict, input_signature=[pixels])
    for name, function, argument in strings:
        spec = tf.TensorSpec((None,), tf.string, name=argument)
        archive.add_endpoint(name, function, input_signature=[spec])
    archive.add_endpoint("embed", embed, input_signature=[pixels])
    if explainer is not None:

        def explain(pixels):
            logits, heat_maps = explainer(pixels)
            return {**answer(logits), "heat_maps": heat_maps}

        archive.add_endpoint("explain", explain, input_signature=[pixels])
    return archive


def _golden_requests(
    model: keras.Model,
    images: np.ndarray,
    class_names: Sequence[str],
    explainer: Explainer | None,
) -> dict[str, Request]:
    """Requests to every signature with the answers of the trained model."""
    pixels = images.astype("float32")
    logits = keras.ops.convert_to_numpy(model(pixels, training=False))
    features = keras.Model(model.input, model.get_layer("features").output)
    embedding = keras.ops.convert_to_numpy(features(pixels, training=False))
    # PNG keeps every pixel, so encoded images have the same answers.
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    examples = [bytes_example("image", image) for image in encoded]
    answer = expected_answer(logits, class_names)
    requests: dict[str, Request] = {
        "serving_default": ({"pixels": pixels}, answer),
        "serve_bytes": ({"image_bytes": np.array(encoded, object)}, answer),
        "classify": ({"inputs": np.array(examples, object)}, answer),
        "embed": ({"pixels": pixels}, {"embedding": embedding}),
    }
    if explainer is not None:
        heat_maps = keras.ops.convert_to_numpy(explainer(pixels)[1])
        requests["explain"] = ({"pixels": pixels}, {**answer, "heat_maps": heat_maps})
    return requests
