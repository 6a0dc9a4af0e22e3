"""From a trained image classifier to a published, checked SavedModel."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.data.image_bytes import decode_image_bytes
from modelyard.serving.check import CheckResult, check_saved_model
from modelyard.serving.golden import write_golden
from modelyard.serving.warmup import write_warmup
from modelyard.training.explanations import Explainer, make_explainer
from modelyard.training.files import storage_errors, write_text

# Float32 sums in another order; scores are in [0, 1].
GOLDEN_TOLERANCE = 1e-4


class GateError(RuntimeError):
    """An export was refused, because it would not serve as the model predicts."""

    def __init__(self, result: CheckResult):
        failed = [rule for rule in result.rules if rule.ok is False]
        super().__init__(
            "The export was refused and nothing was published. "
            + " ".join(f"{rule.rule}: {rule.detail}" for rule in failed)
        )
        self.result = result


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
    with _written_aside(base) as partial:
        golden = _golden_requests(model, golden_images, class_names, explainer)
        _write_saved_model(model, partial, class_names, explainer)
        extra = partial / "assets.extra"
        with storage_errors(extra):
            extra.mkdir(exist_ok=True)
            write_golden(extra / "golden.npz", golden, GOLDEN_TOLERANCE)
            write_warmup(
                extra / "tf_serving_warmup_requests",
                [
                    (signature, {name: value[:1] for name, value in inputs.items()})
                    for signature, (inputs, _) in golden.items()
                ],
                model_name=base.name,
            )
            write_text(extra / "labels.txt", "\n".join(class_names) + "\n")
            for file in extra_files:
                shutil.copy(file, extra)
        result = check_saved_model(partial)
        if not result.ok:
            raise GateError(result)
        return _publish(partial, base)


@contextlib.contextmanager
def _written_aside(base: Path) -> Iterator[Path]:
    """A folder beside the versions, which no server takes for one."""
    with storage_errors(base):
        base.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=base))
        partial.chmod(0o755)  # mkdtemp's 0700 would shut a server out.
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            base.rmdir()  # Only if it is empty: the first export was refused.


def _publish(partial: Path, base: Path) -> Path:
    """Renames a whole export to the next free version."""
    while True:
        taken = [int(p.name) for p in base.iterdir() if p.name.isdecimal()]
        target = base / str(max(taken, default=0) + 1)
        try:
            # A folder replaces at most an empty one: nothing can be lost here.
            os.rename(partial, target)  # noqa: PTH104
        except OSError:
            if not target.exists():
                raise
            continue  # Another run has just published this version.
        return target


def _write_saved_model(
    model: keras.Model,
    path: Path,
    class_names: Sequence[str],
    explainer: Explainer | None,
) -> None:
    """Writes the signatures, with the weights once."""
    shape = model.input_shape[1:]
    names = tf.constant(list(class_names))
    embedder = keras.Model(model.input, model.get_layer("features").output)

    def answer(logits):
        scores = tf.nn.softmax(logits)
        classes = tf.broadcast_to(names, tf.shape(scores))
        return {"scores": scores, "classes": classes}

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
    with storage_errors(path):
        try:
            archive.write_out(path, verbose=False)
        except tf.errors.OpError as error:  # A full disk comes as one.
            # The message ends with what happened, after the names of ops.
            raise OSError(error.message.rpartition(";")[2].strip()) from error


def _golden_requests(
    model: keras.Model,
    images: np.ndarray,
    class_names: Sequence[str],
    explainer: Explainer | None,
) -> dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Requests to every signature with the answers of the trained model."""
    pixels = images.astype("float32")
    logits = keras.ops.convert_to_numpy(model(pixels, training=False))
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    features = keras.Model(model.input, model.get_layer("features").output)
    embedding = keras.ops.convert_to_numpy(features(pixels, training=False))
    # PNG keeps every pixel, so encoded images have the same answers.
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    examples = [_image_example(image) for image in encoded]
    answer = {
        "scores": scores,
        "classes": np.array([[n.encode() for n in class_names]] * len(images), object),
    }
    requests = {
        "serving_default": ({"pixels": pixels}, answer),
        "serve_bytes": ({"image_bytes": np.array(encoded, object)}, answer),
        "classify": ({"inputs": np.array(examples, object)}, answer),
        "embed": ({"pixels": pixels}, {"embedding": embedding}),
    }
    if explainer is not None:
        heat_maps = keras.ops.convert_to_numpy(explainer(pixels)[1])
        requests["explain"] = ({"pixels": pixels}, {**answer, "heat_maps": heat_maps})
    return requests


def _image_example(encoded: bytes) -> bytes:
    """An encoded image as a serialized tf.Example."""
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image": value})
    return tf.train.Example(features=features).SerializeToString()
