"""The diffusion process as numbers: variances of its steps, which steps are taken, and the tables of both (Ho et al. 2020; Nichol and
Dhariwal 2021). float64 throughout, as the authors have it; no torch in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoo.plugin import UsageError

Table = NDArray[np.float64]
MOST = 0.999
"""Largest variance of a step in the cosine schedule."""
LEVELS = 1000
"""Steps for which the linear schedule was made; shorter ones take larger steps."""


def betas(name: str, steps: int) -> Table:
    """The variance of each step, float64 [steps]: linear from 1e-4 to 0.02 (times 1000 / steps), or the cosine schedule."""
    if name == "linear":
        scale = LEVELS / steps
        return np.linspace(scale * 0.0001, scale * 0.02, steps, dtype=np.float64)

    def kept(share: float) -> float:
        return math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - kept((i + 1) / steps) / kept(i / steps), MOST) for i in range(steps)], dtype=np.float64)


def spaced_steps(steps: int, text: str) -> list[int]:
    """The steps 0..steps-1 that a text of `timestep_respacing` means, ascending. Empty: all.

    "N" or "a,b,c": so many from each of equal sections, from its first to its last step, positions added up in floating point and
    rounded as Python rounds. "ddimN": every k-th step from 0 on, for the smallest k that gives exactly N. Raises UsageError for texts
    that mean nothing, and for numbers that do not fit.
    """
    text = text.strip()
    if not text:
        return list(range(steps))
    if text.startswith("ddim"):
        return _every(steps, _number(text.removeprefix("ddim"), text), text)
    counts = [_number(part, text) for part in text.split(",")]
    size, longer = divmod(steps, len(counts))
    taken: set[int] = set()
    start = 0
    for section, count in enumerate(counts):
        length = size + (section < longer)
        if count > length:
            raise UsageError(
                f"spacing={text}: section {section + 1} of {len(counts)} has {length} of the {steps} steps, not {count}."
            )
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        at = 0.0
        for _ in range(count):
            taken.add(start + round(at))
            at += stride
        start += length
    return sorted(taken)


def _number(part: str, text: str) -> int:
    if not (part.strip().isascii() and part.strip().isdigit() and 0 < len(part.strip()) < 7 and int(part) > 0):
        raise UsageError(f"spacing={text[:60]!r}: expected counts (250, or 10,15,20) or ddimN (ddim25).")
    return int(part)


def _every(steps: int, count: int, text: str) -> list[int]:
    for stride in range(1, steps):
        chosen = range(0, steps, stride)
        if len(chosen) == count:
            return list(chosen)
        if len(chosen) < count:
            break
    fitting = sorted({len(range(0, steps, k)) for k in range(1, steps)}, key=lambda n: abs(n - count))[:3]
    raise UsageError(
        f"spacing={text}: no stride takes exactly {count} of {steps} steps (near: {', '.join(map(str, sorted(fitting)))})."
    )


@dataclass(frozen=True, eq=False)
class Tables:
    """What the formulas of a process look up, each float64 [n]. betas: the variances of its steps.

    alphas_cumprod_prev: of the step before, 1 for the first. posterior_log_variance_clipped: the first entry, which would be the logarithm
    of 0, is the second one's.
    """

    betas: Table
    alphas_cumprod: Table = field(init=False)
    alphas_cumprod_prev: Table = field(init=False)
    sqrt_alphas_cumprod: Table = field(init=False)
    sqrt_one_minus_alphas_cumprod: Table = field(init=False)
    sqrt_recip_alphas_cumprod: Table = field(init=False)
    sqrt_recipm1_alphas_cumprod: Table = field(init=False)
    posterior_variance: Table = field(init=False)
    posterior_log_variance_clipped: Table = field(init=False)
    posterior_mean_coef1: Table = field(init=False)
    posterior_mean_coef2: Table = field(init=False)
    log_betas: Table = field(init=False)
    large_log_variance: Table = field(init=False)

    def __post_init__(self) -> None:
        kept = np.cumprod(1 - self.betas)
        before = np.append(1.0, kept[:-1])
        variance = self.betas * (1 - before) / (1 - kept)
        made = {
            "alphas_cumprod": kept,
            "alphas_cumprod_prev": before,
            "sqrt_alphas_cumprod": np.sqrt(kept),
            "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - kept),
            "sqrt_recip_alphas_cumprod": np.sqrt(1 / kept),
            "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / kept - 1),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": np.log(np.append(variance[1], variance[1:])),
            "posterior_mean_coef1": self.betas * np.sqrt(before) / (1 - kept),
            "posterior_mean_coef2": (1 - before) * np.sqrt(1 - self.betas) / (1 - kept),
            "log_betas": np.log(self.betas),
            "large_log_variance": np.log(np.append(variance[1], self.betas[1:])),
        }
        for name, table in made.items():
            object.__setattr__(self, name, table)


def respaced(full: Table, kept: Sequence[int]) -> Table:
    """The variances of the process that takes only the steps `kept` (ascending) of the one with the variances `full`."""
    products = np.cumprod(1 - full)
    last, found = 1.0, []
    for step in kept:
        found.append(1 - products[step] / last)
        last = products[step]
    return np.array(found, dtype=np.float64)
