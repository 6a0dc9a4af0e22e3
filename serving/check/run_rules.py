"""Rules about the answers of a SavedModel: signatures, batch sizes, known requests."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from modelyard.serving.check.rules import Finding
from modelyard.serving.check.subject import Request, Subject
from modelyard.serving.golden import GOLDEN_FILE, read_golden
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import NativeModel, decode_tensor
from modelyard.serving.native.tensors import (
    DTYPES,
    STRING,
    Signature,
    dtype_name,
    dtype_number,
)
from modelyard.serving.warmup import (
    MAX_RECORDS,
    WARMUP_FILE,
    WarmupRequest,
    read_warmup,
)

_BATCH_SIZES = (1, 3)
_FREE_SIZE = 32  # Used for free dimensions other than the batch.
_FIXES = {
    "Could not find variable": "`tf.saved_model.save(keras_model)` forgets the "
    "variables for every loader but Python's: export with "
    "`keras.export.ExportArchive` and add_endpoint instead.",
    "XLA compilation disabled": "See the rule `no_xla`.",
    "No OpKernel was registered": "See the rule `cpu_ops`.",
}


def check_runs(subject: Subject) -> Finding:
    """Runs every signature once."""
    model, done = _model(subject), []
    subject.requests = _find_requests(subject.directory, model)
    for name, request in subject.requests.items():
        try:
            subject.outputs[name] = model.run(name, request.inputs)
        except NativeError as error:
            rejected = request.may_be_rejected and error.code == "INVALID_ARGUMENT"
            if not rejected or _find_fix(error):
                detail = f"`{name}` fails on {request.source} inputs: {_short(error)}"
                return Finding(ok=False, detail=detail, fix=_find_fix(error))
            done.append(f"`{name}` rejects {request.source} inputs with a clear error")
        else:
            done.append(f"`{name}` answers {request.source} inputs")
    if not done:
        return Finding(ok=None, detail="There is no signature to run.")
    return Finding(ok=True, detail=f"{'; '.join(done)}.")


def check_batch(subject: Subject) -> Finding:
    """Sends one row and three rows to every signature."""
    model, unanswered = _model(subject), []
    for name, request in subject.requests.items():
        for key, spec in model.signatures[name].inputs.items():
            if spec.shape is not None and (not spec.shape or spec.shape[0] is not None):
                detail = f"`{name}` takes `{key}` as {spec}, not any number of rows."
                return Finding(ok=False, detail=detail)
        if name not in subject.outputs:
            unanswered.append(name)
            continue
        problem = _try_batch_sizes(model, name, request.inputs)
        if problem:
            return Finding(ok=False, detail=problem)
    if unanswered:
        detail = f"Declared for any size, but not tried: {', '.join(unanswered)}."
        return Finding(ok=None, detail=detail)
    return Finding(ok=True, detail="Requests of 1 and 3 rows get one answer per row.")


def check_warmup(subject: Subject) -> Finding:
    """Runs every warm-up request."""
    path = subject.directory / WARMUP_FILE
    if not path.is_file():
        return Finding(ok=None, detail="There are no warm-up requests.")
    try:
        requests = read_warmup(path)
    except ValueError as error:
        return Finding(ok=False, detail=str(error))
    if len(requests) > MAX_RECORDS:
        detail = f"{len(requests)} records, more than the {MAX_RECORDS} allowed."
        return Finding(ok=False, detail=detail)
    model = _model(subject)
    for number, request in enumerate(requests):
        problem = _try_warmup(model, request)
        if problem:
            return Finding(ok=False, detail=f"Record {number}: {problem}")
    unread = sum(request.kind != "predict" for request in requests)
    detail = f"{len(requests) - unread} requests are answered."
    if unread:
        detail += f" {unread} requests to the Classify and Regress APIs were not tried."
    return Finding(ok=True, detail=detail)


def check_golden(subject: Subject) -> Finding:
    """Compares the answers to golden requests with those of the trained model."""
    path = subject.directory / GOLDEN_FILE
    if not path.is_file():
        return Finding(ok=None, detail="There are no golden requests.")
    try:
        golden = read_golden(path)
    except ValueError as error:
        return Finding(ok=False, detail=str(error))
    model, worst = _model(subject), 0.0
    for name, (inputs, expected) in golden.requests.items():
        try:
            answers = model.run(name, inputs)
        except NativeError as error:
            return Finding(ok=False, detail=_short(error), fix=_find_fix(error))
        for key, wanted in expected.items():
            if key not in answers:
                return Finding(ok=False, detail=f"`{name}` has no output `{key}`.")
            difference, problem = _compare(answers[key], wanted, golden.tolerance)
            if problem:
                return Finding(ok=False, detail=f"`{name}`, `{key}`: {problem}")
            worst = max(worst, difference)
    detail = f"Largest difference {worst:.3g}, tolerance {golden.tolerance:g}."
    uncovered = sorted(set(model.signatures) - set(golden.requests))
    if uncovered:
        detail += f" Without golden requests: {', '.join(uncovered)}."
    return Finding(ok=True, detail=detail)


def _model(subject: Subject) -> NativeModel:
    """Returns the loaded model; the probe calls these checks only with one."""
    if subject.model is None:
        raise RuntimeError("The model must be loaded before it is run.")
    return subject.model


def _find_requests(directory: Path, model: NativeModel) -> dict[str, Request]:
    """Finds inputs for every signature: golden, warm-up or made up."""
    requests = {name: _make_up(spec) for name, spec in model.signatures.items()}
    known = [
        *(("warm-up", *request) for request in _warmup_inputs(directory, model)),
        *(("golden", *request) for request in _golden_inputs(directory)),
    ]
    for source, name, inputs in known:
        # `_try_batch_sizes` cannot repeat rows if there are none.
        if name in requests and all(array.size for array in inputs.values()):
            requests[name] = Request(source, inputs)
    return requests


def _golden_inputs(directory: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields the golden requests; `check_golden` reports a damaged file."""
    try:
        golden = read_golden(directory / GOLDEN_FILE)
    except (FileNotFoundError, ValueError):
        return
    for name, (inputs, _) in golden.requests.items():
        yield name, inputs


def _warmup_inputs(
    directory: Path, model: NativeModel
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields one valid warm-up request per signature; `check_warmup` tries all."""
    try:
        requests = read_warmup(directory / WARMUP_FILE)
    except (FileNotFoundError, ValueError):
        return
    for name, request in {r.signature: r for r in requests}.items():
        if request.kind == "predict" and not _try_warmup(model, request):
            yield name, _decode(request.inputs)


def _make_up(signature: Signature) -> Request:
    """Makes one row of zeros and empty strings that fits the signature."""
    inputs, may_be_rejected = {}, False
    for name, spec in signature.inputs.items():
        shape = spec.shape if spec.shape is not None else (None,)
        sizes = [_FREE_SIZE if size is None else size for size in shape]
        if shape and shape[0] is None:
            sizes[0] = 1
        if spec.shape is None or None in shape[1:] or spec.dtype == STRING:
            may_be_rejected = True
        if spec.dtype == STRING:
            inputs[name] = np.full(sizes, b"", np.object_)
        else:
            inputs[name] = np.zeros(sizes, DTYPES.get(spec.dtype, DTYPES[1])[1])
    return Request("made-up", inputs, may_be_rejected)


def _try_batch_sizes(
    model: NativeModel, name: str, inputs: Mapping[str, np.ndarray]
) -> str:
    """Runs several batch sizes; returns the problem, or an empty string."""
    for size in _BATCH_SIZES:
        rows = {
            key: np.resize(array, (size, *array.shape[1:]))
            for key, array in inputs.items()
        }
        try:
            answers = model.run(name, rows)
        except NativeError as error:
            return f"`{name}` fails with {size} rows: {_short(error)}"
        for key, answer in answers.items():
            if answer.shape[:1] != (size,):
                shape = list(answer.shape)
                return f"`{name}` answers {size} rows with `{key}` of shape {shape}."
    return ""


def _try_warmup(model: NativeModel, request: WarmupRequest) -> str:
    """Runs one warm-up request; returns the problem, or an empty string."""
    if request.kind == "unknown":
        return "it is not a predict, classify or regress request."
    if request.kind != "predict":
        return ""
    if request.signature not in model.signatures:
        return f"there is no signature `{request.signature}`."
    specs = model.signatures[request.signature].inputs
    try:
        inputs = _decode(request.inputs)
        for name, array in inputs.items():
            if name in specs and dtype_number(array) != specs[name].dtype:
                wanted = dtype_name(specs[name].dtype)
                return f"`{name}` is {array.dtype}, but must be {wanted}."
        model.run(request.signature, inputs)
    except NativeError as error:
        return _short(error)
    return ""


def _decode(protos: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """Reads the tensors of a request."""
    return {name: decode_tensor(proto) for name, proto in protos.items()}


def _compare(
    answer: np.ndarray, wanted: np.ndarray, tolerance: float
) -> tuple[float, str]:
    """Returns the largest difference and the problem, or an empty string."""
    if answer.shape != wanted.shape:
        return 0.0, f"shape {answer.shape}, but the trained model has {wanted.shape}."
    if (answer.dtype == np.object_) != (wanted.dtype == np.object_):
        return 0.0, f"dtype {answer.dtype}, but the trained model has {wanted.dtype}."
    if wanted.dtype.kind != "f":
        different = int(np.sum(answer != wanted))
        return 0.0, f"{different} of {wanted.size} values differ." if different else ""
    answer, wanted = answer.astype(np.float64), wanted.astype(np.float64)
    # Infinities of one sign agree, and so do two NaNs.
    same = (answer == wanted) | (np.isnan(answer) & np.isnan(wanted))
    gaps = np.abs(np.subtract(answer, wanted, where=~same, out=np.zeros(answer.shape)))
    gap = float(np.max(gaps, initial=0.0))
    if gap <= tolerance:
        return gap, ""
    return gap, f"differs by {gap:.3g} from the trained model, tolerance {tolerance:g}."


def _short(error: NativeError) -> str:
    """Cuts a runtime error, which lists every graph node."""
    return str(error)[:400]


def _find_fix(error: NativeError) -> str:
    """Finds the fix for a well-known error."""
    return next((fix for text, fix in _FIXES.items() if text in error.message), "")
