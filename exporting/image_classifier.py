"""From a trained image classifier to a published, checked SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.evaluation.heat_maps import Explainer, make_explainer
from modelyard.exporting.classes import expected_answer, make_answer
from modelyard.exporting.images import any_image, decode_images, encode_images
from modelyard.exporting.publishing import (
    add_bytes_endpoint,
    add_endpoint,
    bytes_example,
    publish_export,
)
from modelyard.serving.description import ExportDescription
from modelyard.serving.golden import GoldenRequest


def export_image_classifier(
    model: keras.Model,
    base: Path,
    *,
    task: str,
    class_names: Sequence[str],
    golden_images: np.ndarray,
    extra_files: Sequence[Path],
    explain: bool = False,
) -> Path:
    """Publishes a classifier as the next version under `base`, after the gate.

    Signatures: `serving_default` (pixels -> scores, classes), `serve_bytes`
    (encoded JPEG, PNG, GIF or BMP images -> the same), `classify` (tf.Examples
    with the feature `image` -> the same), `embed` (pixels -> the features that
    the last layer sees) and, on request, `explain` (pixels -> scores, classes,
    heat_maps of the class with the highest score).

    Args:
        model: Float32 model from pixels in [0, 255] to logits, with a layer
            named `features`.
        base: `saved_models/<name>`; created if needed.
        task: Name of the pipeline.
        class_names: Names of the logits, in order.
        golden_images: uint8 `(n, height, width, channels)`; the export must give the
            model's predictions for them.
        extra_files: Files that are copied to `assets.extra/`.
        explain: Whether to add the signature `explain`; the model must then meet the
            requirements of `make_explainer`.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        OSError: If it cannot be written; nothing is published.
    """
    explainer = make_explainer(model) if explain else None
    return publish_export(
        base,
        lambda: _make_archive(model, class_names, explainer),
        golden=_golden_requests(model, golden_images, class_names, explainer),
        description=ExportDescription(
            task, kind="classes", inputs="images", class_names=tuple(class_names)
        ),
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
        return predict(decode_images(image_bytes, shape))

    def predict_examples(inputs):
        feature = {"image": tf.io.FixedLenFeature([], tf.string)}
        return predict_bytes(tf.io.parse_example(inputs, feature)["image"])

    def embed(pixels):
        return {"embedding": embedder(pixels, training=False)}

    pixels = tf.TensorSpec((None, *shape), tf.float32, name="pixels")
    archive = keras.export.ExportArchive()
    image = any_image()
    example = bytes_example("image", image)
    add_endpoint(archive, "serving_default", predict, pixels)
    add_bytes_endpoint(
        archive, "serve_bytes", predict_bytes, "image_bytes", filler=image
    )
    add_bytes_endpoint(archive, "classify", predict_examples, "inputs", filler=example)
    add_endpoint(archive, "embed", embed, pixels)
    if explainer is not None:

        def explain(pixels):
            logits, heat_maps = explainer(pixels)
            return {**answer(logits), "heat_maps": heat_maps}

        add_endpoint(archive, "explain", explain, pixels)
    return archive


def _golden_requests(
    model: keras.Model,
    images: np.ndarray,
    class_names: Sequence[str],
    explainer: Explainer | None,
) -> dict[str, GoldenRequest]:
    """Requests to every signature with the answers of the trained model."""
    pixels = images.astype("float32")
    logits = keras.ops.convert_to_numpy(model(pixels, training=False))
    features = keras.Model(model.input, model.get_layer("features").output)
    embedding = keras.ops.convert_to_numpy(features(pixels, training=False))
    encoded = encode_images(images)
    examples = [bytes_example("image", image) for image in encoded]
    answer = expected_answer(logits, class_names)
    requests: dict[str, GoldenRequest] = {
        "serving_default": ({"pixels": pixels}, answer),
        "serve_bytes": ({"image_bytes": encoded}, answer),
        "classify": ({"inputs": np.array(examples, object)}, answer),
        "embed": ({"pixels": pixels}, {"embedding": embedding}),
    }
    if explainer is not None:
        heat_maps = keras.ops.convert_to_numpy(explainer(pixels)[1])
        requests["explain"] = ({"pixels": pixels}, {**answer, "heat_maps": heat_maps})
    return requests
