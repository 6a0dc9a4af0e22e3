"""Rules about the content of a SavedModel: files, signatures, ops, weights."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from modelyard.serving.check.rules import Finding
from modelyard.serving.check.subject import StoredTensor, Subject
from modelyard.serving.native.library import NativeError
from modelyard.serving.native.loader import (
    NativeModel,
    ops_with_cpu_kernels,
    read_checkpoint,
)
from modelyard.serving.native.protos import message_class
from modelyard.serving.native.tensors import dtype_name
from modelyard.serving.versions import is_saved_model

_REST_DTYPES = frozenset(
    {"float32", "float64", "bool", "string", "uint8", "uint32", "uint64"}
    | {"int8", "int16", "int32", "int64"}
)
_VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_GENERATED_INPUT = re.compile(r"keras_tensor(_\d+)?|(args?|inputs?)_?\d+(_\d+)?")
_GENERATED_OUTPUT = re.compile(r"(keras_tensor|Identity)(_\d+)?|output_\d+")
_MIN_ELEMENTS = 8


def check_files(subject: Subject) -> Finding:
    """Reads the graph file, every stored weight and the list of assets."""
    directory = subject.directory
    if not directory.is_dir():
        return Finding(ok=False, detail=f"There is no directory {directory}.")
    if not any(directory.iterdir()):
        return Finding(ok=False, detail="The directory is empty.")
    if not is_saved_model(directory):
        return Finding(ok=False, detail="There is no saved_model.pb.")
    try:
        subject.meta_graphs = _read_meta_graphs(directory)
    except (DecodeError, NativeError) as error:
        detail = f"The graph file is cut off or not a SavedModel ({error})."
        return Finding(ok=False, detail=detail)
    if not subject.meta_graphs:
        return Finding(ok=False, detail="The graph file holds no graph.")
    missing = list(_missing_files(directory, subject.meta_graphs))
    if missing:
        return Finding(ok=False, detail=f"Missing: {', '.join(missing)}.")
    if not (directory / "variables/variables.index").exists():
        return Finding(ok=True, detail="Complete; the model has no variables.")
    try:
        subject.weights = _read_weights(directory / "variables/variables")
    except NativeError as error:
        return Finding(ok=False, detail=f"The weights cannot be read: {error}")
    size = _megabytes(sum(tensor.num_bytes for tensor in subject.weights))
    return Finding(ok=True, detail=f"Complete, {size} of weights.")


def check_serve_tag(subject: Subject) -> Finding:
    """Looks for the graph that TF Serving picks."""
    if not subject.meta_graphs:
        return Finding(ok=None, detail="Not checked: no graph could be read.")
    tags = [sorted(graph.meta_info_def.tags) for graph in subject.meta_graphs]
    if ["serve"] not in tags:
        return Finding(ok=False, detail=f"The graphs have the tags {tags}.")
    subject.meta_graph = subject.meta_graphs[tags.index(["serve"])]
    return Finding(ok=True, detail="There is a graph with the tag `serve`.")


def check_loads(subject: Subject) -> Finding:
    """Loads the model with the C++ loader."""
    if not subject.meta_graphs:
        return Finding(ok=None, detail="Not checked: no graph could be read.")
    try:
        subject.model = NativeModel(subject.directory)
    except NativeError as error:
        fix = "See the rule `files`." if error.code == "DATA_LOSS" else ""
        return Finding(ok=False, detail=str(error), fix=fix)
    return Finding(ok=True, detail="The C++ loader of TF Serving loads it.")


def check_serving_default(subject: Subject) -> Finding:
    """Looks for the default signature and lists all."""
    signatures = subject.signatures
    if not signatures:
        return Finding(ok=False, detail="There are no signatures.")
    if "serving_default" not in signatures:
        return Finding(ok=False, detail=f"The signatures are {list(signatures)}.")
    detail = "; ".join(f"{name}({spec})" for name, spec in signatures.items())
    return Finding(ok=True, detail=detail)


def check_names(subject: Subject) -> Finding:
    """Looks for names that Keras or TensorFlow has generated."""
    generated = []
    for signature, spec in subject.signatures.items():
        for pattern, names in (
            (_GENERATED_INPUT, spec.inputs),
            (_GENERATED_OUTPUT, spec.outputs),
        ):
            generated += [
                f"{signature}.{name}" for name in names if pattern.fullmatch(name)
            ]
    if generated:
        return Finding(ok=False, detail=f"Generated names: {', '.join(generated)}.")
    return Finding(ok=True, detail="Inputs and outputs have meaningful names.")


def check_dtypes(subject: Subject) -> Finding:
    """Looks for tensors that JSON cannot hold."""
    bad = []
    for signature, spec in subject.signatures.items():
        for name, tensor in [*spec.inputs.items(), *spec.outputs.items()]:
            if not tensor.tensor:
                bad.append(f"{signature}.{name} is sparse or ragged")
            elif dtype_name(tensor.dtype) not in _REST_DTYPES:
                bad.append(f"{signature}.{name} is {dtype_name(tensor.dtype)}")
    if bad:
        return Finding(ok=False, detail=f"{'; '.join(bad)}.")
    return Finding(ok=True, detail="JSON can hold all inputs and outputs.")


def check_cpu_ops(subject: Subject) -> Finding:
    """Looks for ops that cannot run on a CPU."""
    known = ops_with_cpu_kernels()
    places: dict[str, str] = {}
    for place, node, functions in _reachable_nodes(subject.meta_graph):
        if node.op not in known and node.op not in functions:
            places.setdefault(node.op, place)
    if places:
        found = ", ".join(f"{op} (in {place})" for op, place in sorted(places.items()))
        return Finding(ok=False, detail=f"No CPU kernel: {found}.")
    return Finding(ok=True, detail="Every op has a CPU kernel.")


def check_no_xla(subject: Subject) -> Finding:
    """Looks for ops and functions that only XLA can run."""
    found = set()
    for place, node, functions in _reachable_nodes(subject.meta_graph):
        if node.op == "XlaCallModule":
            found.add(f"XlaCallModule (in {place})")
        elif _must_compile(node):
            found.add(f"jit_compile=True on {node.name} (in {place})")
        function = functions.get(place)
        if function is not None and _must_compile(function):
            found.add(f"jit_compile=True on function {place}")
    if found:
        return Finding(ok=False, detail=f"Needs XLA: {', '.join(sorted(found))}.")
    return Finding(ok=True, detail="Nothing needs XLA.")


def check_weights_once(subject: Subject) -> Finding:
    """Looks for equal tensors in the checkpoint."""
    groups = defaultdict(list)
    for tensor in subject.weights:
        if tensor.content is not None:
            groups[tensor.content].append(tensor)
    twins = [group for group in groups.values() if len(group) > 1]
    if not twins:
        return Finding(ok=True, detail="Every weight is stored once.")
    extra = _megabytes(sum(t.num_bytes for group in twins for t in group[1:]))
    names = " = ".join(tensor.name for tensor in twins[0])
    detail = f"{len(twins)} weights are duplicated ({extra}), such as {names}."
    return Finding(ok=False, detail=detail)


def _read_meta_graphs(directory: Path) -> list[Any]:
    """Parses the graph file; the loader parses one in text form."""
    binary = directory / "saved_model.pb"
    if not binary.is_file():
        with NativeModel(directory) as model:
            return [model.meta_graph]
    saved_model = message_class("SavedModel")
    return list(saved_model.FromString(binary.read_bytes()).meta_graphs)


def _missing_files(directory: Path, meta_graphs: list[Any]) -> Iterator[str]:
    """Yields the files that the graphs need, but that are missing."""
    variables = directory / "variables"
    shards = {path.name for path in variables.glob("variables.data-?????-of-?????")}
    has_index = (variables / "variables.index").is_file()
    has_variables = any(
        node.op in _VARIABLE_OPS
        for graph in meta_graphs
        for node in graph.graph_def.node
    )
    if has_variables and not has_index:
        yield "variables/variables.index"
    count = max((int(name[-5:]) for name in shards), default=1)
    if has_variables or has_index:
        names = [f"variables.data-{i:05d}-of-{count:05d}" for i in range(count)]
        yield from (f"variables/{name}" for name in names if name not in shards)
    for graph in meta_graphs:
        for asset in graph.asset_file_def:
            if not (directory / "assets" / asset.filename).is_file():
                yield f"assets/{asset.filename}"


def _read_weights(prefix: Path) -> list[StoredTensor]:
    """Reads every tensor of a checkpoint, which also verifies its checksum."""
    weights = []
    for name, array in read_checkpoint(prefix):
        if array.dtype == np.object_:
            continue
        content = None
        if array.size >= _MIN_ELEMENTS and (array != array.flat[0]).any():
            digest = hashlib.blake2b(array.tobytes()).hexdigest()
            content = (str(array.dtype), array.shape, digest)
        weights.append(StoredTensor(name, array.nbytes, content))
    return weights


def _reachable_nodes(meta_graph: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yields every node that the main graph can call: place, node, all functions."""
    # Functions that nothing calls are harmless: older Keras versions leave a cuDNN
    # variant of recurrent layers among them.
    library = meta_graph.graph_def.library.function
    functions = {function.signature.name: function for function in library}
    places = [("the main graph", meta_graph.graph_def.node)]
    seen = set()
    while places:
        place, nodes = places.pop()
        for node in nodes:
            yield place, node, functions
            called = [node.op]
            for attr in node.attr.values():
                called += [attr.func.name, *(func.name for func in attr.list.func)]
            for name in called:
                if name in functions and name not in seen:
                    seen.add(name)
                    places.append((name, functions[name].node_def))


def _must_compile(owner: Any) -> bool:
    """Tells whether a node or function was created with `jit_compile=True`."""
    attr = owner.attr  # Looking up a missing key would add it.
    return "_XlaMustCompile" in attr and attr["_XlaMustCompile"].b


def _megabytes(num_bytes: int) -> str:
    """Writes a size for people."""
    return f"{num_bytes / 1e6:.2f} MB" if num_bytes >= 1e4 else f"{num_bytes} bytes"
