"""The case of the authors' metrics. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.metrics.frechet import frechet_distance
from zoo.metrics.inception import inception_score


def run_metrics(case: Mapping[str, Any], io: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The measured numbers under their places in the case: distances of the named features, scores of the logits by splits."""
    out: dict[str, Tensor] = {}
    for name, value in case.items():
        if pair := re.match(r"frechet\((\w+),(\w+)\)", name):
            a, b = (io[f"feat_{side}"] for side in pair.groups())
            out[name] = torch.tensor(frechet_distance(a, b), dtype=torch.float64)
        elif name.startswith("inception_score"):
            for splits in value:
                found = inception_score(io["is_logits"], int(splits.removeprefix("splits=")))
                out |= {f"{name}/{splits}/{i}": torch.tensor(v, dtype=torch.float64) for i, v in enumerate(found)}
    return out
