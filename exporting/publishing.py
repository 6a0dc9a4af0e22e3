"""From a SavedModel that is being written to a published, checked version."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from modelyard.serving.check.saved_model import CheckResult, check_saved_model
from modelyard.serving.golden import write_golden
from modelyard.serving.warmup import write_warmup
from modelyard.training.files import storage_errors, write_text

# Float32 sums in another order; scores are in [0, 1].
GOLDEN_TOLERANCE = 1e-4

# Inputs of a signature and its outputs, arrays by name.
Request = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


class GateError(RuntimeError):
    """An export was refused, because it would not serve as the model predicts."""

    def __init__(self, result: CheckResult):
        failed = [rule for rule in result.rules if rule.ok is False]
        super().__init__(
            "The export was refused and nothing was published. "
            + " ".join(f"{rule.rule}: {rule.detail}" for rule in failed)
        )
        self.result = result


def publish_export(
    base: Path,
    make_archive: Callable[[], keras.export.ExportArchive],
    *,
    golden: Mapping[str, Request],
    class_names: Sequence[str],
    extra_files: Sequence[Path],
) -> Path:
    """Publishes a SavedModel as the next version under `base`, past the gate.

    Args:
        base: `saved_models/<name>`; created if needed.
        make_archive: Makes the archive with all its signatures.
        golden: A request to each signature with the answer that the export must
            give; the first rows of the inputs also warm the server up.
        class_names: Names of the logits, in order.
        extra_files: Files that are copied to `assets.extra/`.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        StorageError: If it cannot be written; nothing is published.
    """
    with _written_aside(base) as partial:
        _write_out(make_archive(), partial)
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


def make_answer(class_names: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """Makes the function that turns logits into the outputs of a signature.

    Args:
        class_names: Names of the logits, in order.

    Returns:
        A TensorFlow function from logits `(n, k)` to `scores` and `classes`.
    """
    names = tf.constant(list(class_names))

    def answer(logits):
        scores = tf.nn.softmax(logits)
        classes = tf.broadcast_to(names, tf.shape(scores))
        return {"scores": scores, "classes": classes}

    return answer


def expected_answer(
    logits: np.ndarray, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Computes what a signature must answer, without TensorFlow.

    Args:
        logits: What the trained model says, float32 `(n, k)`.
        class_names: Names of the logits, in order.

    Returns:
        `scores` and `classes`.
    """
    names = [name.encode() for name in class_names]
    return {
        "scores": softmax(logits, axis=-1),
        "classes": np.array([names] * len(logits), object),
    }


def bytes_example(feature: str, value: bytes) -> bytes:
    """Serializes a tf.Example with one feature of one string."""
    strings = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    features = tf.train.Features(feature={feature: strings})
    return tf.train.Example(features=features).SerializeToString()


def _write_out(archive: keras.export.ExportArchive, path: Path) -> None:
    """Writes a SavedModel, with the weights once."""
    with storage_errors(path):
        try:
            archive.write_out(path, verbose=False)
        except tf.errors.OpError as error:  # A full disk comes as one.
            # The message ends with what happened, after the names of ops.
            raise OSError(error.message.rpartition(";")[2].strip()) from error


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
