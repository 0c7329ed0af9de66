"""Speed and memory of the zoo beside a plain reading of the papers' code, and of its commands beside an older checkout.

    python -m benchmarks                                      # all systems, official configs, one thread (half an hour)
    python -m benchmarks --only spade/ade20k --rounds 9 --data DIR
    python -m benchmarks --only clvae/ade20k --batch 8 --threads 2
    python -m benchmarks --only clvae/ade20k --what styles --what strokes --what loading
    python -m benchmarks --only training
    python -m benchmarks --only commands --against OLDER_CHECKOUT --rounds 7
    python -m benchmarks --json results.json --plot results.png

Ratios are taken round by round (median and quartiles); pictures are compared before anything is timed. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import commands, training
from benchmarks.cases import GENERATORS, SYNTHESIZERS, TRANSLATORS, WHAT, Case, cases
from benchmarks.measuring import added, machine, ratio, times
from benchmarks.plots import plot

TOLERANCE = 2e-5
MORE = ("training", "commands")


def difference(a: Any, b: Any) -> float:
    """The largest difference of two results; of class numbers the share that differs."""
    if a.is_floating_point():
        return float((a - b).abs().max())
    return float((a != b).float().mean())


@torch.inference_mode()
def measured(case: Case, rounds: int, threads: int) -> dict[str, Any]:
    """A case as a row: seconds, ratios to "plain", memory, differences."""
    apart = {f"{b} from {a}": difference(case.calls[a](), case.calls[b]()) for a, b in case.equal}
    taken = times(case.calls, rounds, threads=threads)
    taken = {name: [s / case.pictures.get(name, 1) for s in seconds] for name, seconds in taken.items()}
    memory = {name: added(call) for name, call in case.calls.items()}
    return {
        "case": case.name,
        "threads": threads,
        "seconds": {name: sorted(values)[len(values) // 2] for name, values in taken.items()},
        "ratio": {name: ratio(taken["plain"], taken[name]) for name in taken if name in ("form", "kept", "ours", "ours, bf16")},
        "stroke of layout": ratio(taken["stroke"], taken["layout"]) if "stroke" in taken else None,
        "MiB": memory,
        "apart": apart,
    }  # fmt: skip


def trained(data: Path | None, rounds: int, threads: int, changes: dict[str, Any]) -> dict[str, Any]:
    """The training step as a row."""
    calls = training.steps(data, changes)
    return {
        "case": "spade/ade20k, training step (128 px, ngf 32, batch 2)",
        "threads": threads,
        **_timed(calls, rounds, threads),
    }


def _timed(calls: Any, rounds: int, threads: int) -> dict[str, Any]:
    taken = times(calls, rounds, threads=threads)
    return {
        "seconds": {name: sorted(values)[len(values) // 2] for name, values in taken.items()},
        "ratio": {name: ratio(taken["plain"], values) for name, values in taken.items() if name != "plain"},
        "MiB": {name: added(call) for name, call in calls.items()},
        "apart": {},
    }


def markdown(row: dict[str, Any]) -> str:
    """A row for people."""
    if "job" in row:
        cpu = ", ".join(f"{name} {value:.2f} s ({row['mib'][name]:.0f} MiB)" for name, value in row["cpu"].items())
        return (
            f"| {row['job']} | {cpu} | " + ", ".join(f"{n} / this {_spread(r)}" for n, r in row["ratio"].items()) + " |"
        )
    seconds = ", ".join(f"{name} {value:.3f}" for name, value in row["seconds"].items())
    ratios = ", ".join(f"{name} **{_spread(r)}**" for name, r in row["ratio"].items())
    memory = ", ".join(f"{name} {value:.0f}" for name, value in row["MiB"].items() if value is not None)
    apart = ", ".join(f"{value:.1e}" for value in row["apart"].values())
    line = f"| {row['case']} | {row['threads']} | {seconds} | {ratios} | {memory} | {apart} |"
    return line + (f" stroke/layout {_spread(row['stroke of layout'])} |" if row.get("stroke of layout") else " |")


def _spread(r: dict[str, float]) -> str:
    return f"{r['median']:.2f} ({r['low']:.2f}-{r['high']:.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 if results differ by more than the tolerance."""
    names = (*SYNTHESIZERS, *GENERATORS, *TRANSLATORS, *MORE)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}; repeatable"
    )
    parser.add_argument("--data", type=Path, help="folder with real maps (the shared data); without it made-up scenes")
    parser.add_argument("--batch", type=int, action="append", help="batch sizes (default 1)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of torch (default 1); with more, times are those of the wall clock",
    )
    parser.add_argument(
        "--what",
        action="append",
        choices=WHAT,
        help="what is measured of a system (default results): many styles of one map, from a stroke to the new picture, loading; repeatable",
    )
    parser.add_argument("--styles", type=int, default=40, help="how many, for --what styles (default 40)")
    parser.add_argument("--pairs", type=int, default=64, help="pairs of the composition")
    parser.add_argument("--against", type=Path, help="an older checkout, for `commands`")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=N",
        help="config field of smaller networks, for a quick look",
    )
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--plot", type=Path, help="draw the ratios there (extra plots)")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    changes = {k: int(v) for k, _, v in (s.partition("=") for s in a.set)}
    rows: list[dict[str, Any]] = []
    facts = machine()
    print(
        f"{facts}\n\n| case | threads | seconds | ratio to plain | MiB added | difference | |\n|---|---|---|---|---|---|---|"
    )
    for name in a.only or names:
        if name == "commands":
            checkouts = {"this": Path(__file__).parents[1], **({"older": a.against} if a.against else {})}
            new = commands.measure(checkouts, a.rounds, a.pairs)
        elif name == "training":
            new = [trained(a.data, a.rounds, a.threads, changes)]
        else:
            made = (
                case
                for what in a.what or WHAT[:1]
                for batch in (a.batch or [1] if what in ("results", "strokes") else [1])
                for case in cases(name, a.data, batch, changes, what=what, styles=a.styles)
            )
            new = [measured(case, a.rounds, a.threads) for case in made]
        for row in new:
            print(markdown(row), flush=True)
        rows += new
        if a.json:
            a.json.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")
    if a.plot:
        plot(rows, a.plot)
    wrong = [row["case"] for row in rows if any(v > TOLERANCE for v in row.get("apart", {}).values())]
    if wrong:
        print(f"\nResults differ by more than {TOLERANCE}: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
