"""The modules of `tests/golden`, which are loaded by path, as whoever replays the cases from outside does."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType


def fresh(name: str) -> ModuleType:
    """A copy of its own, in which a test may replace things."""
    spec = importlib.util.spec_from_file_location(f"golden_{name}", Path(__file__).parent / "golden" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden_module = cache(fresh)
"""The one copy that tests share."""
