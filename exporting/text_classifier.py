"""From a trained text classifier to a published, checked SavedModel."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelyard.evaluation.attributions import Attributor
from modelyard.exporting.classes import expected_answer, make_answer
from modelyard.exporting.publishing import (
    add_bytes_endpoint,
    bytes_example,
    publish_export,
)
from modelyard.serving.description import ExportDescription
from modelyard.serving.golden import GoldenRequest

# Strings unlike any training text, which a server must survive.
_ODD_TEXTS = (
    b"",
    b" <br /> \xc2\x85 ",
    b"zero \x00 byte",
    b"not \xff\xfe UTF-8 \xc3",
    "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5} \N{SNOWMAN}".encode(),
    "\u0641\u064a\u0644\u0645 \u0631\u0627\u0626\u0639".encode(),  # Right to left.
)
# An explanation takes as long as some dozens of predictions.
_EXPLAINED_TEXTS = 4
_EXPLAINED_CHARACTERS = 300

# From strings `(n,)` to token ids, int32 `(n, t)`, in TensorFlow.
Encoder = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class _Served:
    """What the signatures are built from."""

    model: keras.Model
    encoder: Encoder
    class_names: Sequence[str]
    embedder: keras.Model | None
    attributor: Attributor | None
    words: Sequence[str]


def export_text_classifier(
    model: keras.Model,
    encoder: Encoder,
    base: Path,
    *,
    task: str,
    class_names: Sequence[str],
    golden_texts: Sequence[str],
    extra_files: Sequence[Path] = (),
    vocabulary: Sequence[str] | None = None,
) -> Path:
    """Publishes a classifier as the next version under `base`, after the gate.

    Signatures, from any strings `text` `(n,)` unless stated otherwise:

    - `serving_default` -> `scores`, `classes`;
    - `classify`, from tf.Examples with the feature `text` -> the same;
    - `embed`, if the model has a layer `features` -> `embedding`, its output;
    - `explain`, with a vocabulary -> `scores`, `classes`, `tokens`, string `(n, t)`,
      and their `attribution`, float32 `(n, t)`, to the class with the highest score.
      After the end of a text, tokens are empty and attributions 0.

    Args:
        model: Float32 model from token ids `(batch, t)` to logits; for `explain` it
            must meet the requirements of `Attributor`.
        encoder: Turns strings `(n,)` into token ids, int32 `(n, t)`, padded with 0 at
            the end, `t` at least 1. Layers, modules and lookup tables in its closure
            or its attributes are saved with the model.
        base: `saved_models/<name>`; created if needed.
        task: Name of the pipeline.
        class_names: Names of the logits, in order.
        golden_texts: The export must give the model's predictions for them, and for
            some odd strings.
        extra_files: Files that are copied to `assets.extra/`.
        vocabulary: The words of the token ids, in order; the first two stand for
            padding and unknown words. Without it there is no signature `explain`.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        OSError: If it cannot be written; nothing is published.
    """
    embedder = None
    if "features" in [layer.name for layer in model.layers]:
        embedder = keras.Model(model.input, model.get_layer("features").output)
    served = _Served(
        model=model,
        encoder=encoder,
        class_names=class_names,
        embedder=embedder,
        attributor=None if vocabulary is None else Attributor(model),
        words=["", *(vocabulary or ())[1:]],  # Padding is shown as an empty word.
    )
    return publish_export(
        base,
        lambda: _make_archive(served),
        golden=_golden_requests(served, golden_texts),
        description=ExportDescription(
            task, kind="classes", inputs="texts", class_names=tuple(class_names)
        ),
        extra_files=extra_files,
    )


def _make_archive(served: _Served) -> keras.export.ExportArchive:
    """Gathers the signatures."""
    answer = make_answer(served.class_names)
    archive = keras.export.ExportArchive()
    for resource in _held_by(served.encoder):
        archive.track(resource)

    def add(name, function, argument="text", filler=b""):
        add_bytes_endpoint(archive, name, function, argument, filler=filler)

    def predict(text):
        return answer(served.model(served.encoder(text), training=False))

    def predict_examples(inputs):
        feature = {"text": tf.io.FixedLenFeature([], tf.string)}
        return predict(tf.io.parse_example(inputs, feature)["text"])

    add("serving_default", predict)
    example = bytes_example("text", b"")
    add("classify", predict_examples, argument="inputs", filler=example)
    embedder, attributor = served.embedder, served.attributor
    if embedder is not None:

        def embed(text):
            return {"embedding": embedder(served.encoder(text), training=False)}

        add("embed", embed)
    if attributor is not None:
        words = tf.constant(served.words)

        def explain(text):
            tokens = served.encoder(text)
            logits, values = attributor(tokens)
            shown = {"tokens": tf.gather(words, tokens), "attribution": values}
            return {**answer(logits), **shown}

        add("explain", explain)
    return archive


def _held_by(encoder: Encoder) -> list[Any]:
    """The layers, modules and lookup tables of an encoder."""
    cells = getattr(encoder, "__closure__", None) or ()
    held = [cell.cell_contents for cell in cells]
    held += getattr(encoder, "__dict__", {}).values()
    kinds = (
        keras.layers.Layer,
        tf.Module,
        tf.saved_model.experimental.TrackableResource,
    )
    return [resource for resource in (encoder, *held) if isinstance(resource, kinds)]


def _golden_requests(served: _Served, texts: Sequence[str]) -> dict[str, GoldenRequest]:
    """Requests to every signature with the answers of the trained model."""
    strings = [*(text.encode(errors="replace") for text in texts), *_ODD_TEXTS]
    examples = [bytes_example("text", string) for string in strings]
    tokens = _encode(served, strings)
    answer = _predict(served, tokens)
    requests: dict[str, GoldenRequest] = {
        "serving_default": ({"text": np.array(strings, object)}, answer),
        "classify": ({"inputs": np.array(examples, object)}, answer),
    }
    if served.embedder is not None:
        embedding = served.embedder(tokens, training=False)
        requests["embed"] = (
            {"text": np.array(strings, object)},
            {"embedding": keras.ops.convert_to_numpy(embedding)},
        )
    if served.attributor is not None:
        few = [text[:_EXPLAINED_CHARACTERS] for text in strings[:_EXPLAINED_TEXTS]]
        few = [*few, *_ODD_TEXTS]
        tokens = _encode(served, few)
        shown = {
            "tokens": np.array([w.encode() for w in served.words], object)[tokens],
            "attribution": served.attributor.explain(tokens).values,
        }
        requests["explain"] = (
            {"text": np.array(few, object)},
            {**_predict(served, tokens), **shown},
        )
    return requests


def _encode(served: _Served, strings: Sequence[bytes]) -> np.ndarray:
    """Token ids of strings, int32 `(n, t)`."""
    return keras.ops.convert_to_numpy(served.encoder(tf.constant(list(strings))))


def _predict(served: _Served, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """The answer of the trained model."""
    logits = keras.ops.convert_to_numpy(served.model(tokens, training=False))
    return expected_answer(logits, served.class_names)
