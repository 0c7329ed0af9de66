"""`results.json`: the request, and each metric with its protocol, written after every metric so that a run can go on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import read_json
from zoo.files.writing import write_text

FORMAT = 1  # fields may be added; a reader takes what it knows
IDENTITY = ("subject", "kind", "digest", "data", "pairs_sha256")
"""What another result file differs in: those of the model and the data."""


def plain(value: Any) -> Any:
    """Values as JSON has them: None for NaN and infinity, lists for tuples. Raises DataError for what JSON does not hold."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    raise DataError(f"a figure is {type(value).__name__}: expected numbers, texts, lists and mappings of them.")


def read_results(path: Path) -> dict[str, Any] | None:
    """The results at `path`, None where there is no file. Raises UsageError for a file of something else."""
    if not path.exists():
        return None
    if path.is_dir():
        raise UsageError(f'<<out="{path}">> is a folder: name a file such as {path / "results.json"}.')
    found = read_json(path, error=UsageError, what="a file of results")
    if found.get("format") != FORMAT or not isinstance(found.get("metrics"), dict) or "request" not in found:
        raise UsageError(f"{path} holds no results of zoo eval: choose another <<out>>.")
    return found


def continued(path: Path, head: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The document to go on with, and what to say of it. Measured anew where options differ.

    Raises UsageError for results of another model or of other data.
    """
    found = read_results(path)
    if found is None:
        return {**head, "metrics": {}}, ""
    if other := [key for key in IDENTITY if found.get(key) != head[key]]:
        raise UsageError(
            f"{path} holds results of another run (it differs in {', '.join(other)}): choose another <<out>>."
        )
    changed = sorted(k for k in head["request"] if found["request"].get(k) != head["request"][k])
    if changed:
        return {
            **head,
            "metrics": {},
        }, f"{path} was made with other options ({', '.join(changed)}): all is measured again."
    return {**head, "metrics": found["metrics"]}, ""


def write_results(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document atomically."""
    write_text(path, json.dumps(plain(document), indent=2, allow_nan=False) + "\n")
