"""Commands that must not import torch, in units of a bare interpreter start (docs/design.md, "Command line": at most 15).

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = (["--help"], ["--version"], ["list"], ["card", "mask-vae-celeba"], ["labels"], ["plugins"])
RUNS = 15
RUN = "import sys; from zoo.cli import main; main(sys.argv[1:])"


def seconds(command: list[str]) -> float:
    """Median wall time of a command over RUNS runs, after one warm-up."""
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    bare = seconds([sys.executable, "-I", "-S", "-c", "pass"])
    print(f"bare interpreter start: {bare * 1000:.0f} ms")
    for command in COMMANDS:
        took = seconds([sys.executable, "-c", RUN, *command])
        print(f"zoo {' '.join(command)}: {took * 1000:.0f} ms = {took / bare:.1f} bare starts")


if __name__ == "__main__":
    main()
