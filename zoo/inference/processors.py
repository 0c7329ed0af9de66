"""What the processor is, where the choice between equal computations depends on it. Nothing is timed: the same machine chooses alike."""

from __future__ import annotations

import functools
import platform
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


def multiplies_bf16(device: str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 itself. A processor that does not goes through float32 piece by piece: about ten times
    slower than float32 at once."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.device(device).type != "cpu":
        return True  # mps: there is no way to ask
    if platform.machine() in ("x86_64", "AMD64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
