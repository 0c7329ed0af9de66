"""Pairs as shards by one process, and by three workers of a Ray cluster of two nodes (raylets on 127.0.0.1), one worker killed on the way and
the driver killed and started again: the digests must be equal. Says what a pair costs; benchmarks/SCALE.md has the figures.

    python -m benchmarks.scale FOLDER -n 20000                        # hours; the same command goes on
    python -m benchmarks.scale FOLDER -n 600 --per-shard 40 --models mask-vae-celeba+scgan-celeba

Needs maskzoo[ray] and Linux, and some GB of FOLDER's disk (it stays there). Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.ray_nodes import cluster, workers

ZOO = [sys.executable, "-m", "zoo"]


def finished(place: Path) -> int:
    """Shards that are finished there."""
    return len(list(place.glob("shard-*.json")))


def one_process(command: list[str], place: Path) -> tuple[float, float]:
    """Run a command; its seconds of the processor, and of the clock."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*command, "--shards", str(place), "--workers", "1"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def measured(command: list[str], place: Path, n: int, per_shard: int) -> dict[str, float]:
    """The pairs that one process makes into a folder, and what that took; kept beside it. Of an interrupted run what is missing counts."""
    kept = place.with_suffix(".json")
    if not kept.exists():
        place.mkdir(parents=True, exist_ok=True)
        made = n - finished(place) * per_shard
        processor, clock = one_process([*command, "-n", str(n)], place)
        kept.write_text(json.dumps({"pairs": made, "processor": processor, "clock": clock}))
    return json.loads(kept.read_text())


def with_kills(command: list[str], place: Path, shards: int) -> list[str]:
    """The same by three workers on two nodes. A worker is killed after the second shard, the driver after a third of them; the driver is
    started again. Returns what happened."""
    told = []
    with cluster() as nodes:
        words = [*command, "--shards", str(place), "--ray", nodes["address"], "--workers", "3"]

        def driver() -> subprocess.Popen[bytes]:
            return subprocess.Popen(words, env=nodes["environment"], stdout=subprocess.DEVNULL)

        def until(reached: Callable[[], Any]) -> Any:
            while not (value := reached()):
                if process.poll() is not None:
                    raise SystemExit(f"The driver ended by itself ({process.returncode}).")
                time.sleep(0.05)
            return value

        process = driver()
        until(lambda: finished(place) >= 2)
        victim = until(lambda: workers(nodes["raylets"], at_work=True))[0]
        os.kill(victim, signal.SIGKILL)
        told.append(f"worker {victim} killed after {finished(place)} shards")
        until(lambda: finished(place) >= max(3, shards // 3))
        process.kill()
        process.wait()
        told.append(f"driver killed after {finished(place)} shards")
        process = driver()
        if process.wait() != 0:
            raise SystemExit(f"The driver that was started again ended with {process.returncode}.")
    return told


def main() -> None:
    """Make, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", metavar="FOLDER", type=Path)
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--per-shard", type=int, default=None, help="[default: an eightieth, in whole batches]")
    parser.add_argument("--models", default="mask-vae-celeba+oasis-celeba")
    asked = parser.parse_args()
    per_shard = asked.per_shard or max(1, asked.n // 80 // 8) * 8
    command = [*ZOO, "compose", asked.models, "--seed", "18", "--device", "cpu", "--per-shard", str(per_shard)]
    begin = measured(command, asked.place / "begin", 8, per_shard)
    whole = measured(command, asked.place / "one", asked.n, per_shard)
    told = with_kills([*command, "-n", str(asked.n)], asked.place / "ray", -(-asked.n // per_shard))
    index, other = (json.loads((asked.place / name / "index.json").read_text()) for name in ("one", "ray"))
    alike = [a["sha256"] == b["sha256"] for a, b in zip(index["shards"], other["shards"], strict=True)]
    pair = (whole["processor"] - begin["processor"]) / (whole["pairs"] - 8)
    print(f"| {asked.models} | {asked.n} pairs | {len(alike)} shards |")
    print("|---|---|---|")
    print(
        f"| one process | {pair:.3f} s of a processor a pair | {whole['clock']:.0f} s of the clock for {whole['pairs']:.0f} |"
    )
    print(f"| bytes | {index['bytes'] / index['samples']:.0f} a pair in shards | {index['bytes']} |")
    print(f"| Ray, 3 workers on 2 nodes | {'; '.join(told)} | {sum(alike)} of {len(alike)} digests equal |")
    if not all(alike) or index["digest"] != other["digest"]:
        raise SystemExit("The digests differ.")


if __name__ == "__main__":
    main()
