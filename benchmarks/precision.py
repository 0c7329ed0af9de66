"""What `--dtype bf16` and `--compile` do to the inference form: seconds, and how far the results move.

    OMP_NUM_THREADS=1 python -m benchmarks.precision spade/ade20k scgan/ade20k --data DIR --rounds 3 [--compile]

Official configs with random weights, one map at a time; thread CPU seconds of interleaved rounds. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import GENERATORS, SYNTHESIZERS
from benchmarks.cases.generators import PORTRAIT
from benchmarks.cases.maps import read_maps
from benchmarks.cases.models import build, style_of
from benchmarks.measuring import machine, ratio, times
from zoo.inference.optimize import optimize
from zoo.rng import Rng


def call_of(reference: str, model: Any, fast: Any, data: Path | None) -> Callable[[], Tensor]:
    """One map through the form: a picture in [0, 1], or the labels that a generator makes (mask-vae: of a map)."""
    if reference.startswith("segvae"):
        sets = [model.label_space.label_set(PORTRAIT)]
        latents = model.sample_latents(sets, Rng(0, range(1)))
        return lambda: fast.generate(sets, latents=latents).labels
    maps = read_maps(reference, model, data, 1)
    if reference.startswith("mask-vae"):
        return lambda: fast.decode(fast.encode(maps)).labels
    style = style_of(model, maps, Rng(0, range(1)))
    return lambda: fast.synthesize(maps, style)


@torch.inference_mode()
def measured(reference: str, data: Path | None, rounds: int, *, compiled: bool) -> str:
    """A row."""
    model = build(reference, {})
    forms = {"form": optimize(model), "bf16": optimize(model, dtype=torch.bfloat16)}
    if compiled:
        forms["compiled"] = optimize(model, compile=True)
    calls = {name: call_of(reference, model, form, data) for name, form in forms.items()}
    expected, cells = calls["form"](), []
    firsts: dict[str, float] = {}
    for name in list(calls)[1:]:
        began = time.perf_counter()
        made = calls[name]()
        firsts[name] = time.perf_counter() - began
        if made.is_floating_point():
            moved = (made - expected).abs() / expected.std()  # random weights give pictures of little contrast
            cells.append(
                f"{name}: largest difference {float(moved.max()):.3f}, mean {float(moved.mean()):.4f} of a deviation"
            )
        else:
            cells.append(f"{name}: {float((made != expected).float().mean()):.2%} of the pixels differ")
    taken = times(calls, rounds)
    seconds = {name: sorted(values)[len(values) // 2] for name, values in taken.items()}
    for name in list(calls)[1:]:
        r = ratio(taken["form"], taken[name])
        cells.append(f"{name} **{r['median']:.2f}** ({r['low']:.2f}-{r['high']:.2f})")
    if "compiled" in firsts:
        cells.append(f"first compiled call {firsts['compiled']:.0f} s of wall time")
    return f"| {reference} | " + ", ".join(f"{k} {v:.3f}" for k, v in seconds.items()) + f" | {'; '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="bf16 and compiled forms beside the plain form.")
    parser.add_argument("reference", nargs="+", choices=(*SYNTHESIZERS, *GENERATORS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    for reference in a.reference:
        print(measured(reference, a.data, a.rounds, compiled=a.compile), flush=True)


if __name__ == "__main__":
    main()
