"""What an export does: its task, inputs and kind of answer.

The file `assets.extra/export.json` of an export is a JSON object with the fields
of `ExportDescription`.
"""

import dataclasses
import json
from pathlib import Path

DESCRIPTION_FILE = "assets.extra/export.json"
KINDS = ("classes", "value", "image", "text", "codes", "boxes", "items", "strokes")
INPUTS = ("images", "texts", "arrays")


@dataclasses.dataclass(frozen=True)
class ExportDescription:
    """What an export does.

    Attributes:
        task: Name of the pipeline that wrote it, such as `"classify-images"`.
        kind: Kind of answer, one of `KINDS`.
        inputs: What `modelyard predict` passes to it: `"images"` (encoded image
            files), `"texts"` or `"arrays"` (`.npy` files).
        class_names: Names of the classes, in the order of the scores.
        unit: Unit of a value, such as `"$"`.
    """

    task: str
    kind: str
    inputs: str
    class_names: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self):
        """Checks every field."""
        for name in ("task", "kind", "inputs", "unit"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(
                    f"`{name}` must be a string. Received: {name}={value!r}"
                )
        if not self.task:
            raise ValueError("`task` must not be empty. Received: task=''")
        if self.kind not in KINDS:
            raise ValueError(
                f"`kind` must be one of {', '.join(KINDS)}. "
                f"Received: kind={self.kind!r}"
            )
        if self.inputs not in INPUTS:
            raise ValueError(
                f"`inputs` must be one of {', '.join(INPUTS)}. "
                f"Received: inputs={self.inputs!r}"
            )
        names = self.class_names
        if not isinstance(names, tuple) or not all(isinstance(n, str) for n in names):
            raise ValueError(
                "`class_names` must be a tuple of strings. "
                f"Received: class_names={names!r}"
            )


def write_description(path: Path, description: ExportDescription) -> None:
    """Writes the description of an export.

    Args:
        path: The file, `EXPORT/assets.extra/export.json`; its folder is created.
        description: The description.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(dataclasses.asdict(description), indent=2, ensure_ascii=False)
    path.write_text(content + "\n", encoding="utf-8")


def read_description(directory: Path) -> ExportDescription | None:
    """Reads the description of an export.

    Args:
        directory: The version directory, which holds `saved_model.pb`.

    Returns:
        The description, or None if the export has none. Fields that later
        versions may add are ignored.

    Raises:
        ValueError: If the file is damaged or the kind of answer is unknown.
    """
    path = directory / DESCRIPTION_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must hold a JSON object. Received: {type(content).__name__}"
        )
    fields = {f.name for f in dataclasses.fields(ExportDescription)}
    known = {name: value for name, value in content.items() if name in fields}
    missing = [name for name in ("task", "kind", "inputs") if name not in known]
    if missing:
        raise ValueError(f"{path} lacks the fields {', '.join(missing)}.")
    if isinstance(known.get("class_names"), list):
        known["class_names"] = tuple(known["class_names"])
    try:
        return ExportDescription(**known)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
