"""What a run gives, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from zoo.maps import SemanticMap
from zoo.style import Style


@dataclass(eq=False)
class Part:
    """One finished batch: samples `start`, `start + 1`, …; maps in the output space; each of the three where there are any. pasted: with
    `paste`, each picture in its photo, uint8 [H, W, 3]. left_out: samples that there could be none of, by number, and why (of photos that are
    parsed into shards)."""

    start: int
    maps: SemanticMap | None
    images: Tensor | None
    styles: Style | None
    records: list[dict[str, Any]]
    pasted: list[np.ndarray] | None = None
    left_out: dict[int, str] = field(default_factory=dict)
