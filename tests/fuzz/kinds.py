"""The kinds of cases: how many at full length, under which limits, and the module that makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .place import Place


@dataclass(frozen=True)
class Kind:
    """full: cases at full length; seconds: of processor time that a command may take; wall: of a whole case before it counts as
    hanging; growth: bytes that the process may grow by; reads: whether reading what a link leads to is a fault."""

    name: str
    full: int
    what: str
    seconds: float = 20
    wall: float = 60
    growth: int = 3 << 30
    reads: bool = False

    def prepare(self, folder: Path) -> Callable[[Place], None]:
        """What all cases share is made in `folder`; gives the function that runs one."""
        return import_module(f".{self.name}", __package__).prepare(folder)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("maps", 10_000, "map and photo files", seconds=4, growth=3 << 29),
        Kind("models", 3_000, "model folders", reads=True),
        Kind("checkpoints", 500, "checkpoints", reads=True),
        Kind("manifests", 1_000, "manifests and run folders", reads=True),
        Kind("plugins", 150, "broken plugins, 23 commands each", wall=180),
        Kind("kills", 200, "kills of compose, train, pull, fit", wall=180),
    )
}
