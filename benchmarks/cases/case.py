"""What is timed beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    """Calls that are timed beside each other. equal: pairs of calls whose results must agree within 2e-5 (class numbers: entirely).

    pictures: how many pictures a call makes for each one of the others, by its name; times are a picture's.
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    equal: tuple[tuple[str, str], ...] = (("plain", "form"),)
    pictures: dict[str, int] = field(default_factory=dict)
