"""One JSON file per vocabulary that the core ships; each is an attribute by the name of its file, as JSON values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# importlib.resources would double the time of `zoo labels`, and wheels are unpacked when installed
FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Of all files, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def __getattr__(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return json.loads(path.read_text("utf-8"))
