"""The command line as a whole, of this checkout and of an older one beside it: cold starts, loading, pairs of a composition.

Each command runs in a process of its own, in turns; its CPU seconds are what the system says of that child.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring import ratio

STARTS = (["--help"], ["list"], ["card", "mask-vae-celeba"], ["plugins"], ["labels"])
LOADED = ("spade-celeba", "scgan-celeba", "clvae-celeba", "segvae-celeba", "mask-vae-celeba")
RUN = "import sys; from zoo.cli import main; main(sys.argv[1:])"
LOAD = "import sys, torch, zoo; zoo.load(sys.argv[1])"
BARE = "import sys, torch, zoo"
ALL = ", all processors"
"""The end of the name of a job for which torch takes as many threads as it likes; its seconds are of the clock."""
PACKAGES = {"zoo": "zoo", "zoo_plugins": "plugins", "zoo_cards": "cards"}


@contextmanager
def importable(checkout: Path) -> Iterator[str]:
    """A folder for PYTHONPATH whose packages are those of a checkout, before the installed ones."""
    with tempfile.TemporaryDirectory() as folder:
        for package, where in PACKAGES.items():
            (Path(folder) / package).symlink_to((checkout / where).resolve(), target_is_directory=True)
        settings = configparser.ConfigParser(delimiters=("=",))
        settings.read(checkout / "setup.cfg", encoding="utf-8")
        facts = (
            Path(folder) / "maskzoo-0.dist-info"
        )  # the entry points are those of the checkout, not of what is installed
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: maskzoo\nVersion: 0\n")
        plugins = settings.get("options.entry_points", "zoo.plugins").strip()
        (facts / "entry_points.txt").write_text(f"[zoo.plugins]\n{plugins}\n")
        yield folder


def child(code: str, arguments: list[str], path: str, folder: str, *, all_processors: bool = False) -> dict[str, float]:
    """CPU and wall seconds of one process, with one thread or as many as torch takes. Raises RuntimeError with its output if it fails."""
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    if all_processors:
        del environment["OMP_NUM_THREADS"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )  # fmt: skip
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {output.decode(errors='replace')[-2000:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.perf_counter() - began, "mib": usage.ru_maxrss / 1024}


def jobs(pairs: int) -> dict[str, tuple[str, list[str]]]:
    """What is run, by name."""
    made: dict[str, tuple[str, list[str]]] = {f"zoo {' '.join(c)}": (RUN, list(c)) for c in STARTS}
    made["import zoo, torch"] = (BARE, [])
    made.update({f"load {name}": (LOAD, [name]) for name in LOADED})
    composed = RUN, ["compose", "mask-vae+scgan", "-n", str(pairs), "--seed", "0"]
    made[f"compose mask-vae+scgan -n {pairs}"] = composed
    made[f"compose mask-vae+scgan -n {pairs}{ALL}"] = composed
    return made


def measure(checkouts: dict[str, Path], rounds: int, pairs: int) -> list[dict[str, Any]]:
    """Rows of every job: median CPU seconds (of the clock with all processors) by checkout, and the ratio of the first to each other, round
    by round."""
    rows = []
    paths = {}
    with tempfile.TemporaryDirectory() as folder:
        farms = {name: importable(path) for name, path in checkouts.items()}
        try:
            paths = {name: farm.__enter__() for name, farm in farms.items()}
            for job, (code, arguments) in jobs(pairs).items():
                taken: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
                for turn in range(rounds + 1):  # the first one fills caches and is not counted
                    for name in list(checkouts) if turn % 2 else reversed(list(checkouts)):
                        out = ["--out", f"{name}-{turn}"] if arguments[:1] == ["compose"] else []
                        took = child(code, [*arguments, *out], paths[name], folder, all_processors=job.endswith(ALL))
                        shutil.rmtree(Path(folder) / f"{name}-{turn}", ignore_errors=True)
                        if turn:
                            taken[name].append(took)
                rows.append(_row(job, taken))
        finally:
            for farm in farms.values():
                farm.__exit__(None, None, None)
    return rows


def _row(job: str, taken: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"job": job, "cpu": {}, "mib": {}, "ratio": {}}
    first = next(iter(taken))
    clock = "wall" if job.endswith(ALL) else "cpu"
    for name, runs in taken.items():
        cpu = sorted(run[clock] for run in runs)
        row["cpu"][name], row["mib"][name] = cpu[len(cpu) // 2], max(run["mib"] for run in runs)
        if name != first:
            row["ratio"][name] = ratio([run[clock] for run in runs], [run[clock] for run in taken[first]])
    return row
