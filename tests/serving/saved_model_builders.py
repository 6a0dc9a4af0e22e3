"""Writes the SavedModels that the tests of the checks judge.

Run as `python saved_model_builders.py FOLDER`, in a process of its own: the Keras
backend is chosen once per process, and the tests themselves need no TensorFlow.
"""

import sys
from pathlib import Path

import keras
import numpy as np

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
    import tensorflow as tf

    from modelyard.serving.golden import GOLDEN_FILE, write_golden
    from modelyard.serving.warmup import WARMUP_FILE, write_warmup

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


def write_texts(path: Path) -> None:
    """Scores a text by its first letter, and refuses one text."""
    import tensorflow as tf

    def answer(text):
        with tf.control_dependencies([tf.debugging.assert_none_equal(text, "refuse")]):
            first = tf.strings.substr(text, 0, 1)
        letters = tf.constant(["c", "d", "e"])
        scores = tf.nn.softmax(tf.cast(first[:, None] == letters, tf.float32))
        names = tf.broadcast_to(tf.constant(CLASSES), tf.shape(scores))
        return {"scores": scores, "classes": names}

    spec = tf.TensorSpec((None,), tf.string, name="text")
    archive(path, {"serving_default": (answer, spec)})


def write_broken(folder: Path) -> None:
    import tensorflow as tf

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
    if keras.config.backend() == "jax":
        tiny_model().export(str(target / "jax"), verbose=False)
    else:
        write_good(target / "good")
        write_texts(target / "texts")
        write_broken(target)
