"""Where a form's time goes: thread CPU seconds and multiply-adds of each operator, and the rate that its products reach.

    python -m benchmarks.operators clvae/ade20k --call kept --data DIR
    python -m benchmarks.operators segvae/celeba --batch 8

Clocked are the operators of one call, by their CPU time (a wall clock would count the waiting of a busy machine). The call itself is clocked
by turns without them: its row has the rate that counts. Catching operators costs, so the small ones read too long. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.cases import cases
from benchmarks.measuring import machine

MATRICES = {
    "aten.mm": (0, 1),
    "aten.bmm": (0, 1),
    "aten.addmm": (1, 2),
    "aten.baddbmm_": (1, 2),
    "aten.baddbmm": (1, 2),
}
"""Where the two factors stand among an operator's arguments."""
SHARE = 0.01
"""Operators that take less of the time are summed up in one row."""


def multiply_adds(name: str, args: Sequence[Any], result: Any) -> int:
    """Of a matrix product, a linear layer or a convolution (packed ones too); 0 for any other operator."""
    if name in MATRICES:
        first, second = (args[i] for i in MATRICES[name])
        return first.numel() * second.shape[-1]
    if name == "aten.linear":
        return args[0].numel() * args[1].shape[0]
    if name == "mkldnn._linear_pointwise":
        return args[0].numel() * result.shape[-1]
    if "convolution" in name and "reorder" not in name and isinstance(args[1], Tensor):
        weight = args[1]
        grows = "transpose" in name or (name == "aten.convolution" and args[6])
        pixels = math.prod(args[0].shape[2:]) * len(args[0]) if grows else math.prod(result.shape[2:]) * len(result)
        return pixels * weight.numel()
    return 0


class Clock(TorchDispatchMode):
    """Seconds, calls and multiply-adds by operator, of what runs within it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.products: defaultdict[str, int] = defaultdict(int)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        began = time.thread_time()
        result = func(*args, **(kwargs or {}))
        self.seconds[name] += time.thread_time() - began
        self.calls[name] += 1
        self.products[name] += multiply_adds(name, args, result)
        return result


def clocked(call: Callable[[], object], rounds: int) -> tuple[Clock, float]:
    """(the clock of the fastest of some calls, seconds of the fastest of as many without it); one call goes before."""
    call()
    clocks, alone = [], []
    for _ in range(rounds):
        began = time.thread_time()
        call()
        alone.append(time.thread_time() - began)
        clocks.append(Clock())
        with clocks[-1]:
            call()
    return min(clocks, key=lambda clock: sum(clock.seconds.values())), min(alone)


def markdown(clock: Clock, alone: float) -> str:
    """The operators, the longest first, their sum, and the call that took so many seconds alone."""
    total = sum(clock.seconds.values())
    lines = ["| operator | calls | s | share | GMAC | GMAC/s |", "|---|---|---|---|---|---|"]
    rest = 0.0
    for name, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        if seconds < SHARE * total:
            rest += seconds
            continue
        giga = clock.products[name] / 1e9
        rate = f"{giga:.2f} | {giga / seconds:.0f}" if giga else "- | -"
        lines.append(f"| {name} | {clock.calls[name] or '-'} | {seconds:.4f} | {seconds / total:.0%} | {rate} |")
    giga = sum(clock.products.values()) / 1e9
    lines.append(f"| others | - | {rest:.4f} | {rest / total:.0%} | - | - |")
    lines.append(f"| all | {sum(clock.calls.values())} | {total:.4f} | 100% | {giga:.2f} | {giga / total:.0f} |")
    lines.append(f"| the call | - | {alone:.4f} | - | {giga:.2f} | {giga / alone:.0f} |")
    return "\n".join(lines)


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.operators", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("name", help="a system of `python -m benchmarks`")
    parser.add_argument("--call", action="append", help="plain, form (default), kept, layout, stroke, …; repeatable")
    parser.add_argument("--data", type=Path, help="folder with real maps; without it made-up scenes")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2, help="calls of which the fastest is shown (default 2)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=N", help="config field of smaller networks"
    )
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    changes = {k: int(v) for k, _, v in (s.partition("=") for s in a.set)}
    case = next(cases(a.name, a.data, a.batch, changes))
    print(machine())
    for name in a.call or ["form"]:
        if name not in case.calls:
            parser.error(f"{a.name} has the calls {', '.join(case.calls)}, got {name!r}.")
        print(f"\n{case.name}, {name}\n\n{markdown(*clocked(case.calls[name], a.rounds))}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
