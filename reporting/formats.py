"""Values as people read them, on the report page and in the model card."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_SPLIT_NAMES = {
    "test": "Test",
    "validation": "Validation",
    "test_tta": "Test, test-time augmentation",
}


def percent(share: float, digits: int = 2) -> str:
    """Formats a share, in [0, 1] or a difference of two, as a percentage."""
    return f"{100 * share:.{digits}f}%".replace("-", "\N{MINUS SIGN}")


def metric_text(name: str, value: float) -> str:
    """Formats a metric in the unit that its name implies.

    Args:
        name: Its key in `metrics.json`, such as `accuracy` or `psnr`.
        value: Its value.
    """
    if name.endswith(("accuracy", "_rate", "_ratio", "pct", "explained_variance")):
        return percent(value)
    if name.endswith("psnr"):
        return f"{value:.2f} dB"
    return f"{value:.4g}"


def quantity(value: Any, name: str = "") -> str:
    """Formats a value for people; the end of `name` tells its unit.

    Args:
        value: Number, text, list or `None`.
        name: Its key; `..._seconds`, `..._share` and `..._per_second` have units.

    Returns:
        Short text.
    """
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(quantity(item) for item in value) or "none"
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return str(value)
    if name.endswith("_share"):
        return percent(float(value), 1)
    if name.endswith("per_second"):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    if name.endswith("seconds"):
        return _duration(float(value))
    if isinstance(value, int | np.integer):
        return f"{value:,}" if name.startswith("num_") else str(value)
    return f"{value:.6g}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turns nested settings into one table: dotted names and formatted values."""
    rows: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows |= flatten(value, f"{name}.")
        else:
            rows[name] = quantity(value, name)
    return rows


def split_name(split: str) -> str:
    """Names a split of `metrics.json` for people; other names stay as they are."""
    return _SPLIT_NAMES.get(split, split)


def _duration(seconds: float) -> str:
    """Formats a time in the units that suit it."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
