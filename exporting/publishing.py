"""Publishing a SavedModel as a checked version, or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from modelyard.serving.check.saved_model import CheckResult, check_saved_model
from modelyard.serving.description import (
    DESCRIPTION_FILE,
    ExportDescription,
    write_description,
)
from modelyard.serving.golden import GoldenRequest, write_golden
from modelyard.serving.warmup import write_warmup

# Float32 sums in another order; scores are in [0, 1].
GOLDEN_TOLERANCE = 1e-4
_UNEQUAL_ROWS = "All inputs of a request must have as many rows as the first."


class GateError(RuntimeError):
    """An export was refused, because it would not predict like the trained model."""

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
    golden: Mapping[str, GoldenRequest],
    description: ExportDescription,
    extra_files: Sequence[Path],
    tolerance: float = GOLDEN_TOLERANCE,
) -> Path:
    """Publishes a SavedModel as the next version under `base`, after the gate.

    Args:
        base: `saved_models/<name>`; created if needed.
        make_archive: Makes the archive with all its signatures.
        golden: A request to each signature with the answer that the export must
            give. The first row of each is also a warm-up request.
        description: Task, inputs and kind of answer, for `assets.extra/export.json`.
        extra_files: Files that are copied to `assets.extra/`.
        tolerance: Largest absolute difference allowed from the golden answers.

    Returns:
        The published directory, `base/<version>`.

    Raises:
        GateError: If the export fails its checks; nothing is published.
        OSError: If it cannot be written; nothing is published.
    """
    with _written_aside(base) as partial:
        _write_out(make_archive(), partial)
        extra = partial / "assets.extra"
        extra.mkdir(exist_ok=True)
        write_golden(extra / "golden.npz", golden, tolerance)
        write_warmup(
            extra / "tf_serving_warmup_requests",
            [
                (signature, {name: value[:1] for name, value in inputs.items()})
                for signature, (inputs, _) in golden.items()
            ],
            model_name=base.name,
        )
        write_description(partial / DESCRIPTION_FILE, description)
        if description.class_names:
            labels = "\n".join(description.class_names) + "\n"
            (extra / "labels.txt").write_text(labels, encoding="utf-8")
        for file in extra_files:
            shutil.copy(file, extra)
        result = check_saved_model(partial)
        if not result.ok:
            raise GateError(result)
        return _publish(partial, base)


def add_endpoint(
    archive: keras.export.ExportArchive,
    name: str,
    function: Callable[..., dict[str, Any]],
    *specs: tf.TensorSpec,
    filler: bytes = b"",
) -> None:
    """Adds a signature whose inputs are checked in the graph.

    No loader compares a request with the signature, and some kernels end the process
    when they get another rank. A request without rows is answered with empty outputs.

    Args:
        archive: Where the signature is added.
        name: Its name.
        function: From the inputs to outputs by name, with the batch as the first
            dimension.
        *specs: Shape, dtype and name of each input. All have the same number of rows.
        filler: A valid string: `function` is called with one row of it instead if there
            are no rows. Numbers get zeros.
    """

    def checked(*inputs):
        pairs = zip(inputs, specs, strict=True)
        batches = [tf.ensure_shape(value, spec.shape) for value, spec in pairs]
        count = tf.shape(batches[0])[0]
        checks = [
            tf.debugging.assert_equal(tf.shape(value)[0], count, message=_UNEQUAL_ROWS)
            for value in batches[1:]
        ]
        with tf.control_dependencies(checks):
            batches = [_or_one_row(value, filler) for value in batches]
        outputs = function(*batches)
        return {key: output[:count] for key, output in outputs.items()}

    archive.add_endpoint(name, checked, input_signature=list(specs))


def add_bytes_endpoint(
    archive: keras.export.ExportArchive,
    name: str,
    function: Callable[[Any], dict[str, Any]],
    argument: str,
    *,
    filler: bytes = b"",
) -> None:
    """Adds a signature whose only input is strings `(n,)` under the name `argument`."""
    spec = tf.TensorSpec((None,), tf.string, name=argument)
    add_endpoint(archive, name, function, spec, filler=filler)


def _or_one_row(value: tf.Tensor, filler: bytes) -> tf.Tensor:
    """A batch, or one row of strings or zeros in place of an empty one."""
    shape = tf.shape(value)

    def one_row():
        size = tf.concat([[1], tf.maximum(shape[1:], 1)], axis=0)
        return tf.fill(
            size, tf.cast(filler if value.dtype == tf.string else 0, value.dtype)
        )

    return tf.ensure_shape(tf.cond(shape[0] > 0, lambda: value, one_row), value.shape)


def bytes_example(feature: str, value: bytes) -> bytes:
    """Serializes a tf.Example with one feature of one string."""
    strings = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    features = tf.train.Features(feature={feature: strings})
    return tf.train.Example(features=features).SerializeToString()


def _write_out(archive: keras.export.ExportArchive, path: Path) -> None:
    """Writes a SavedModel, with the weights once."""
    try:
        archive.write_out(path, verbose=False)
    except tf.errors.OpError as error:  # Raised if the disk is full, for example.
        # The message ends with what happened, after the names of ops.
        raise OSError(error.message.rpartition(";")[2].strip()) from error


@contextlib.contextmanager
def _written_aside(base: Path) -> Iterator[Path]:
    """A folder beside the versions that servers ignore, removed in the end."""
    base.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=base))
    partial.chmod(0o755)  # mkdtemp's 0700 would keep a server of another user out.
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
            # A folder can only replace an empty one: nothing is lost here.
            os.rename(partial, target)  # noqa: PTH104
        except OSError:
            if not target.exists():
                raise
            continue  # Another run has just published this version.
        return target
