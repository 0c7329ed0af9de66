"""What `official.detect` reads off a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Match:
    """What `official.detect` read off a checkpoint's keys and shapes; near misses have one too, and then say what differs.

    role: the network, as `official.convert` names it. config: fields that differ from the config's defaults.
    ambiguous: fields that no shape tells. missing: official keys that a network of this config has and the file has not;
    unknown: keys of the file that it has not; misfit: keys that both have with different shapes; matched: how many fit.
    """

    role: str
    config: dict[str, Any]
    ambiguous: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    misfit: tuple[str, ...] = ()
    matched: int = 0

    @property
    def complete(self) -> bool:
        """The file is a network of this config, key by key and shape by shape."""
        return not (self.missing or self.unknown or self.misfit)
