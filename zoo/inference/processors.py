"""What the processor is, where the choice between equal computations depends on it. Nothing is timed: the same machine chooses alike."""

from __future__ import annotations

import functools
from pathlib import Path

import torch


@functools.cache
def intel() -> bool:
    """Whether this is an Intel processor, on which MKL's matrix products are as fast as oneDNN's (elsewhere half as fast)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(line.startswith("vendor_id") and "GenuineIntel" in line for line in text.splitlines())


@functools.cache
def wide() -> bool:
    """Whether torch computes with registers of 512 bits."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
