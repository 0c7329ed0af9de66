"""Does CLVAE's cost grow with the label space? Time and memory at C classes of which a map shows the same few.

    python benchmarks/clvae.py --classes 19 151 182

Each size runs in processes of its own, in turns (on Linux, for the memory); networks have random weights. "encode" is photo to
style (RoI pooling and heads of all classes), "layout" what depends on the map alone, "synthesize" the picture from layout and
style (CSE blocks). Time: the fastest of all runs; memory: growth of the process beyond the loaded network. The latents' size is the
same at every C, else the weights differ in more than their tables (`--local 0`: as many numbers as classes, the paper's choice).
Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CALLS = ("encode", "layout", "synthesize")


def status(key: str) -> float:
    """A line of /proc/self/status in MiB (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1]) / 1024


def forget_peak() -> None:
    """Start the peak of the resident size anew."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(classes: int, shown: int, ngf: int, local: int, side: int, runs: int, plain: bool) -> dict[str, Any]:
    """Seconds of every run and MiB of every call, in this process."""
    import torch

    from zoo.labels import numbered_space
    from zoo.maps import SemanticMap
    from zoo_plugins.clvae.config import CLVAEConfig
    from zoo_plugins.clvae.model import CLVAE

    torch.manual_seed(0)
    space = numbered_space(classes)
    config = CLVAEConfig(label_space="numbered", resolution=side, ngf=ngf, z_dim_local=local)
    model = CLVAE(config, space).eval()
    weights = sum(p.numel() for p in model.parameters())
    if not plain:
        model = model.optimized()
    blocks = torch.randint(0, shown, (1, 1, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    labels = torch.nn.functional.interpolate(blocks, size=(side, side))[:, 0].long()
    maps, photo = SemanticMap(labels, space), torch.rand(1, 3, side, side)
    style, layout = model.encode_style(photo, maps), model.layout(maps)
    model.synthesize(layout, style)
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: model.encode_style(photo, maps),
        "layout": lambda: model.layout(maps),
        "synthesize": lambda: model.synthesize(layout, style),
    }
    figures: dict[str, Any] = {"parameters": weights, "seconds": {}, "memory": {}}
    for name, call in calls.items():
        forget_peak()
        before = status("VmRSS")
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        figures["seconds"][name], figures["memory"][name] = times, max(0.0, status("VmHWM") - before)
    return figures


def in_a_process(classes: int, arguments: Sequence[str], **environment: str) -> dict[str, Any]:
    """`measure` in a fresh interpreter."""
    command = [sys.executable, __file__, "--classes", str(classes), "--child", *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | environment).stdout)


def turn_of(classes: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Times of one process, and the memory of another, whose allocator gives back at once what is freed (and is slower for it)."""
    figures = in_a_process(classes, arguments)
    frugal = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    return figures | {"memory": in_a_process(classes, [*arguments, "--runs=1"], **frugal)["memory"]}


def table(turns_by_size: dict[int, list[dict[str, Any]]]) -> str:
    """Markdown: a row per size, each figure with its ratio to the first size."""
    rows = ["| classes | parameters | " + " | ".join(f"{c}, ms | {c}, MiB" for c in CALLS) + " |"]
    rows.append("|" + "---|" * (2 + 2 * len(CALLS)))
    first: dict[str, tuple[float, float]] = {}
    for classes, turns in turns_by_size.items():
        cells = [str(classes), f"{turns[0]['parameters'] / 1e6:.2f} M"]
        for call in CALLS:
            seconds = min(s for turn in turns for s in turn["seconds"][call])
            memory = statistics.median(turn["memory"][call] for turn in turns)
            base = first.setdefault(call, (seconds, memory))
            cells += [
                f"{value * scale:.{digits}f} ({value / max(start, 1e-9):.2f})"
                for value, start, scale, digits in ((seconds, base[0], 1000, 0), (memory, base[1], 1, 1))
            ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main(given: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[19, 151, 182], help="sizes of the label space")
    parser.add_argument("--shown", type=int, default=17, help="classes in the map")
    parser.add_argument("--ngf", type=int, default=64, help="width of the networks (official: 64)")
    parser.add_argument("--local", type=int, default=19, help="numbers per class and layer; 0: as many as classes")
    parser.add_argument("--side", type=int, default=256, help="side of the picture")
    parser.add_argument("--runs", type=int, default=5, help="runs per turn")
    parser.add_argument("--turns", type=int, default=3, help="processes per size, in turns")
    parser.add_argument("--plain", action="store_true", help="the plain networks in place of their inference form")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args(given)
    if a.child:
        print(json.dumps(measure(a.classes[0], a.shown, a.ngf, a.local, a.side, a.runs, a.plain)))
        return
    passed = [f"--{n}={getattr(a, n)}" for n in ("shown", "ngf", "local", "side", "runs")] + ["--plain"] * a.plain
    turns_by_size: dict[int, list[dict[str, Any]]] = {c: [] for c in a.classes}
    for turn in range(a.turns):
        for classes in a.classes if turn % 2 == 0 else reversed(a.classes):
            turns_by_size[classes].append(turn_of(classes, passed))
    print(table(turns_by_size))


if __name__ == "__main__":
    main()
