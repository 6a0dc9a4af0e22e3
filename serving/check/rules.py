"""The rules for a SavedModel that must work in TF Serving, and their results."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Rule:
    """What is checked, why it matters and how to fix it.

    Attributes:
        name: Short name.
        level: `"error"` if clients would notice, `"advice"` if it works, but poorly.
        why: What happens if the rule is broken.
        fix: What the author of the SavedModel should do.
    """

    name: str
    level: Literal["error", "advice"]
    why: str
    fix: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        ok: Whether the rule holds; None if it does not apply.
        detail: What the check saw.
        fix: A fix for this particular case; empty if the rule's own applies.
    """

    ok: bool | None
    detail: str
    fix: str = ""


@dataclasses.dataclass(frozen=True)
class RuleResult:
    """The result of one rule for one SavedModel.

    Attributes:
        rule: Name of the rule.
        level: `"error"` or `"advice"`.
        ok: Whether the rule holds; None if it does not apply.
        detail: What the check saw.
        why: What happens if the rule is broken.
        fix: What the author of the SavedModel should do.
    """

    rule: str
    level: str
    ok: bool | None
    detail: str
    why: str
    fix: str


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The results of all rules for one SavedModel.

    Attributes:
        directory: The version directory that was checked.
        note: How this directory was chosen; empty if the user named it.
        ok: Whether no rule of level `"error"` is broken.
        rules: One result for each rule, in the order of `RULES`.
        seconds: Wall time of the check.
    """

    directory: str
    note: str
    ok: bool
    rules: list[RuleResult]
    seconds: float


RULES = (
    Rule(
        "files",
        "error",
        "TF Serving refuses a directory without a readable graph. Without the "
        "weights it may load, replace the working version and fail at every request.",
        "Copy or export the SavedModel again: write it to a temporary directory and "
        "rename that when it is complete.",
    ),
    Rule(
        "serve_tag",
        "error",
        "TF Serving loads the graph with exactly the tag `serve`.",
        "Save with tags={'serve'}; `tf.saved_model.save` and "
        "`keras.export.ExportArchive` do.",
    ),
    Rule(
        "loads",
        "error",
        "TF Serving uses the same C++ loader: a SavedModel that fails here never "
        "becomes available there.",
        "Export again with a TensorFlow version that the server supports, and use "
        "only TensorFlow's own ops.",
    ),
    Rule(
        "serving_default",
        "error",
        "Requests that name no signature go to `serving_default` and fail without it.",
        "Call add_endpoint('serving_default', ...) on the `ExportArchive`, or pass "
        "signatures={'serving_default': ...} to `tf.saved_model.save`.",
    ),
    Rule(
        "names",
        "advice",
        "Clients send inputs and read outputs by name; generated names say nothing "
        "and change from one training to the next.",
        "Name inputs with tf.TensorSpec(..., name='pixels') and return a dictionary "
        "such as {'scores': ...} from the endpoint.",
    ),
    Rule(
        "dtypes",
        "error",
        "TF Serving's REST API answers with an error for tensors that JSON cannot "
        "hold: float16, bfloat16, uint16, complex, sparse and ragged ones.",
        "Cast in the endpoint: keras.ops.cast(y, 'float32'); densify sparse inputs.",
    ),
    Rule(
        "cpu_ops",
        "error",
        "An op without a CPU kernel loads, and then fails at the first request on a "
        "server without that accelerator.",
        "Export in a process that sees no GPU: set CUDA_VISIBLE_DEVICES=-1 before "
        "TensorFlow starts; recurrent layers then avoid cuDNN.",
    ),
    Rule(
        "no_xla",
        "error",
        "TF Serving switches XLA off by default, so compiled functions fail with "
        "'XLA compilation disabled' at the first request.",
        "Export without jit_compile=True. A model of the jax backend: save it as "
        ".keras, load it under KERAS_BACKEND=tensorflow and export there.",
    ),
    Rule(
        "weights_once",
        "advice",
        "Weights stored twice double the download, the loading time and the memory "
        "of the server.",
        "Export with `keras.export.ExportArchive` and add_endpoint alone, without "
        "track(model); `model.export` stores the weights twice.",
    ),
    Rule(
        "runs",
        "error",
        "A signature that fails here fails for every client.",
        "Call the exported function with such inputs before exporting.",
    ),
    Rule(
        "batch",
        "error",
        "Clients send any number of rows, and a server that batches joins them; a "
        "fixed first dimension rejects all sizes but one.",
        "Export with None as first dimension: tf.TensorSpec((None, ...)), and "
        "reshape with -1 instead of the batch size.",
    ),
    Rule(
        "warmup",
        "error",
        "TF Serving runs the warm-up requests while loading: one that fails keeps "
        "the version from ever becoming available.",
        "Write the file again with `modelyard.serving.warmup.write_warmup`, or "
        "delete it.",
    ),
    Rule(
        "golden",
        "error",
        "The export does not predict like the trained model.",
        "Look for preprocessing, dtypes or weights that differ between training "
        "and the exported function; then export again.",
    ),
)
