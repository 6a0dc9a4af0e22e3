"""Writes the SavedModels that the tests of `serving` use.

Run as `python saved_model_builders.py FOLDER` in a process of its own, so that
neither the devices nor the warnings of TensorFlow and JAX reach the tests.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modelyard.serving.golden import GOLDEN_FILE, write_golden
from modelyard.serving.warmup import WARMUP_FILE, write_warmup

CLASSES = ["cat", "dog", "eel"]


def tiny_model(**options) -> keras.Model:
    keras.utils.set_random_seed(7)
    inputs = keras.Input((12,), name="pixels")
    hidden = keras.layers.Dense(8, name="hidden", **options)(inputs)
    outputs = keras.layers.Dense(3, activation="softmax", name="out", **options)(hidden)
    return keras.Model(inputs, outputs)


def archive(path: Path, endpoints: dict) -> None:
    export = keras.export.ExportArchive()
    for name, (function, spec) in endpoints.items():
        export.add_endpoint(name, function, input_signature=[spec])
    export.write_out(str(path), verbose=False)


def write_good(path: Path) -> None:
    model = tiny_model()

    def answer(pixels):
        scores = model(pixels)
        names = tf.broadcast_to(tf.constant(CLASSES), tf.shape(scores))
        return {"scores": scores, "classes": names}

    def decode(image):
        return tf.reshape(tf.io.decode_png(image, channels=3), (12,))

    def serve_bytes(image_bytes):
        pixels = tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8)
        return answer(tf.cast(pixels, tf.float32) / 255.0)

    spec = tf.TensorSpec((None, 12), tf.float32, name="pixels")
    image_spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive(
        path,
        {
            "serving_default": (answer, spec),
            "serve_bytes": (serve_bytes, image_spec),
        },
    )
    pixels = np.linspace(0, 1, 24, dtype="float32").reshape(2, 12)
    image = (pixels[1] * 255).astype("uint8").reshape(2, 2, 3)
    image_bytes = np.array([tf.io.encode_png(image).numpy()], object)
    golden = {
        "serving_default": ({"pixels": pixels}, answer(pixels)),
        "serve_bytes": ({"image_bytes": image_bytes}, serve_bytes(image_bytes)),
    }
    write_golden(path / GOLDEN_FILE, golden, 1e-5)
    requests = [(name, inputs) for name, (inputs, _) in golden.items()]
    write_warmup(path / WARMUP_FILE, requests, "good")
    (path.parent / "image.png").write_bytes(image_bytes[0])
    np.save(path.parent / "pixels.npy", pixels)
    images = np.stack([np.zeros_like(image), image])
    np.save(path.parent / "images.npy", images)


def write_texts(path: Path) -> None:
    """Scores a text by its first letter, and refuses one text."""

    def answer(text):
        with tf.control_dependencies([tf.debugging.assert_none_equal(text, "refuse")]):
            first = tf.strings.substr(text, 0, 1)
        letters = tf.constant(["c", "d", "e"])
        scores = tf.nn.softmax(tf.cast(first[:, None] == letters, tf.float32))
        names = tf.broadcast_to(tf.constant(CLASSES), tf.shape(scores))
        return {"scores": scores, "classes": names}

    spec = tf.TensorSpec((None,), tf.string, name="text")
    archive(path, {"serving_default": (answer, spec)})


def save(path: Path, signatures: dict) -> None:
    """Saves functions without variables."""
    module = tf.Module()
    module.functions = {
        name: tf.function(function, input_signature=[spec])
        for name, (function, spec) in signatures.items()
    }
    tf.saved_model.save(module, str(path), signatures=module.functions)


def write_kinds(folder: Path) -> None:
    """Writes a SavedModel for each kind of answer but classes."""
    pixels = tf.TensorSpec((None, 2, 2, 3), tf.float32, name="pixels")
    rows = tf.TensorSpec((None, 12), tf.float32, name="pixels")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    text = tf.TensorSpec((None,), tf.string, name="text")

    def decode(image_bytes):
        def decode_one(content):
            image = tf.io.decode_png(content, channels=3)
            return tf.ensure_shape(image, (2, 2, 3))

        images = tf.map_fn(decode_one, image_bytes, fn_output_signature=tf.uint8)
        return tf.cast(images, tf.float32)

    def invert(pixels):
        inverted = 255.0 - pixels
        encoded = tf.map_fn(
            tf.io.encode_png,
            tf.cast(inverted, tf.uint8),
            fn_output_signature=tf.string,
        )
        return {"inverted": inverted, "inverted_bytes": encoded}

    def encode(pixels):
        flat = tf.reshape(pixels, (-1, 12))
        return {"codes": flat[:, :7] / 255.0}

    def reconstruct(pixels):
        return {"reconstruction": pixels}

    save(
        folder / "image",
        {
            "serving_default": (invert, pixels),
            "serve_bytes": (lambda image_bytes: invert(decode(image_bytes)), files),
        },
    )
    save(
        folder / "codes",
        {
            "serving_default": (reconstruct, pixels),
            "encode": (encode, pixels),
            "serve_bytes": (lambda image_bytes: encode(decode(image_bytes)), files),
        },
    )

    def total(pixels):
        return {"price": 2.0 * tf.reduce_sum(pixels, axis=1, keepdims=True)}

    def shout(text):
        return {"text": tf.strings.upper(text)}

    def several(pixels):
        total = tf.reduce_sum(pixels, axis=1)
        return {"value": total, "low": total - 1.0, "high": total + 1.0}

    save(folder / "value", {"serving_default": (total, rows)})
    save(folder / "value_range", {"serving_default": (several, rows)})
    save(folder / "shout", {"serving_default": (shout, text)})


def write_jax(path: Path) -> None:
    """Converts a JAX model, as Keras does for one of its jax backend."""
    from jax import numpy as jnp
    from jax.experimental import jax2tf

    convert = jax2tf.convert(
        lambda weights, pixels: jnp.tanh(pixels @ weights),
        polymorphic_shapes=[None, "(b, 12)"],
    )
    module = tf.Module()
    module.weights = tf.Variable(np.linspace(0, 1, 36, dtype="float32").reshape(12, 3))
    spec = tf.TensorSpec((None, 12), tf.float32, name="pixels")
    # AutoGraph would rewrite the source of JAX, which takes 20 seconds.
    module.serve = tf.function(
        lambda pixels: convert(module.weights, pixels),
        input_signature=[spec],
        autograph=False,
    )
    tf.saved_model.save(module, str(path), signatures=module.serve)


def write_broken(folder: Path) -> None:
    model = tiny_model()
    spec = tf.TensorSpec((None, 12), tf.float32, name="pixels")
    one_row = tf.TensorSpec((1, 12), tf.float32, name="pixels")
    sequence = tf.TensorSpec((None, 5, 4), tf.float32, name="sequence")

    def half(pixels):
        return {"scores": tf.cast(model(pixels), tf.bfloat16)}

    def reduced(pixels):
        return {"mean": tf.reduce_mean(model(pixels))}

    def flattened(pixels):
        return {"scores": tf.reshape(pixels, (1, 12))}

    def endless(pixels):
        return {"scores": tf.while_loop(lambda _: True, lambda x: [x + 1], [pixels])[0]}

    def cudnn(sequence):
        state = tf.zeros((1, tf.shape(sequence)[0], 4))
        outputs = tf.raw_ops.CudnnRNNV3(
            input=tf.transpose(sequence, (1, 0, 2)),
            input_h=state,
            input_c=state,
            params=tf.zeros((160,)),
            sequence_lengths=tf.fill((tf.shape(sequence)[0],), 5),
            rnn_mode="lstm",
        )
        return {"features": tf.transpose(outputs[0], (1, 0, 2))}

    @tf.function(jit_compile=True, input_signature=[spec])
    def compiled(pixels):
        return {"scores": model(pixels)}

    def one(name, function, spec):
        archive(folder / name, {"serving_default": (function, spec)})

    one("bfloat16", half, spec)
    one("reduced", reduced, spec)
    one("flattened", flattened, spec)
    one("endless", endless, spec)
    one("fixed_batch", lambda pixels: {"scores": model(pixels)}, one_row)
    one("cudnn", cudnn, sequence)
    module = tf.Module()
    module.compiled = compiled
    module.variables_ = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(folder / "compiled"), signatures=compiled)
    module.plain = tf.function(compiled.python_function, input_signature=[spec])
    signatures = {"predict": module.plain}
    tf.saved_model.save(module, str(folder / "unnamed"), signatures=signatures)
    model.export(str(folder / "doubled"), verbose=False)
    tf.saved_model.save(model, str(folder / "forgetful"))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_good(target / "good")
    write_texts(target / "texts")
    write_kinds(target)
    write_broken(target)
    write_jax(target / "jax")
