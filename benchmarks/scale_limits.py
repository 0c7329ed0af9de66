"""Where shards would break first: what a shard costs beside its tar, by size. benchmarks/SCALE.md has the figures.

    python -m benchmarks.scale_limits FOLDER         # a folder of shards, from which one is taken as a pattern
    python -m benchmarks.scale_limits FOLDER --ray   # also Ray's own cost of a call (starts Ray here)

Seconds are those of this thread's processor. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tarfile
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.files.shardfiles import INDEX, MANIFEST, compact, facts_name, readable, tar_name
from zoo.sharding.duplicates import duplicates
from zoo.sharding.finish import make_index
from zoo.sharding.folder import finished
from zoo.sharding.plan import Plan
from zoo.sharding.store import Folder

SAMPLES = 1000
"""Of a shard."""


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this thread's processor, and what the call gives."""
    began = time.thread_time()
    given = call()
    return time.thread_time() - began, given


def of_a_pair(place: Path) -> Iterator[tuple[str, str]]:
    """Bytes of a pair, by what they are."""
    parts: Counter[str] = Counter()
    with tarfile.open(place / tar_name(0)) as tar:
        members = tar.getmembers()
    for member in members:
        parts[member.name.partition(".")[2]] += member.size
    pairs = sum(m.name.endswith(".json") for m in members)
    whole = (place / tar_name(0)).stat().st_size
    parts["headers and filling of the tar"] = whole - sum(parts.values())
    yield (
        "bytes of a pair in its tar",
        f"{whole / pairs:.0f}: " + ", ".join(f"{n} {v / pairs:.0f}" for n, v in parts.items()),
    )


def facts_of(pattern: dict[str, Any], number: int, draw: random.Random) -> dict[str, Any]:
    """Facts of a shard of `SAMPLES` samples, after a pattern, with hashes of its own."""
    hashes = [f"{draw.getrandbits(64):016x}" for _ in range(SAMPLES)]
    own = {
        "shard": number,
        "start": number * SAMPLES,
        "stop": (number + 1) * SAMPLES,
        "samples": SAMPLES,
        "hashes": hashes,
    }
    return {**pattern, **own, "bytes": 1 << 10}


def of_shards(place: Path, count: int) -> Iterator[tuple[str, str]]:
    """What so many shards cost whoever begins, goes on or ends."""
    manifest = json.loads((place / MANIFEST).read_text())
    manifest |= {"samples": count * SAMPLES, "per_shard": SAMPLES}
    pattern, draw, plan = json.loads((place / facts_name(0)).read_text()), random.Random(1), Plan.of(manifest)
    with tempfile.TemporaryDirectory() as temporary:
        store = Folder(temporary)
        for number in range(count):
            (store.path / facts_name(number)).write_bytes(compact(facts_of(pattern, number, draw)))
            with (store.path / tar_name(number)).open("wb") as tar:
                tar.truncate(1 << 10)
        size = (store.path / facts_name(0)).stat().st_size
        listing, _ = timed(store.sizes)
        reading, (facts, _) = timed(lambda: finished(store, plan))
        assert len(facts) == count
        tracemalloc.start()
        again = finished(store, plan)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del again
        ending, index = timed(lambda: make_index(plan, facts))
    shards = f"{count} shards ({count * SAMPLES} pairs)"
    yield f"{shards}: listing the folder", f"{listing:.3f} s"
    yield f"{shards}: reading what is finished", f"{reading:.2f} s, {reading / count * 1000:.2f} ms a shard"
    yield f"{shards}: facts on disk and in memory", f"{size} and {held / count:.0f} bytes a shard"
    yield (
        f"{shards}: the index with the search for look-alikes",
        f"{ending:.2f} s, {len(readable(index)) / count:.0f} bytes a shard in {INDEX}",
    )


def of_hashes(count: int) -> Iterator[tuple[str, str]]:
    """The search for look-alikes alone; hashes drawn evenly, the best case."""
    draw = random.Random(2)
    hashes = [f"{draw.getrandbits(64):016x}" for _ in range(count)]
    taken, _ = timed(lambda: duplicates(hashes))
    yield f"look-alikes of {count} even hashes", f"{taken:.2f} s"


def of_ray() -> Iterator[tuple[str, str]]:
    """Calls of an actor that does nothing, on a cluster of this machine."""
    from zoo.sharding.cluster import HERE, connected

    began = time.monotonic()
    with connected(HERE, 2) as ray:
        yield "Ray: start of a cluster here", f"{time.monotonic() - began:.1f} s of the clock"

        @ray.remote(num_cpus=1)
        class Nothing:
            def make(self, facts: dict[str, Any]) -> dict[str, Any]:
                return facts

        actor, sent = Nothing.remote(), facts_of({}, 0, random.Random(3))
        ray.get(actor.make.remote(sent))
        calls = 300
        began, busy = time.monotonic(), time.process_time()
        for _ in range(calls):
            ray.get(actor.make.remote(sent))
        clock, busy = time.monotonic() - began, time.process_time() - busy
        yield (
            "Ray: a call with a shard's facts there and back",
            f"{clock / calls * 1000:.1f} ms of the clock, {busy / calls * 1000:.1f} ms of the driver's processor",
        )


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", metavar="FOLDER", type=Path)
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    print(f"| {os.cpu_count()} processors, load {os.getloadavg()[0]:.0f} | |\n|---|---|")
    rows = [
        of_a_pair(asked.place),
        of_shards(asked.place, 500),
        of_shards(asked.place, 2000),
        of_hashes(100_000),
        of_hashes(1_000_000),
    ]
    for row in [*rows, *([of_ray()] if asked.ray else [])]:
        for name, value in list(row):  # Ray takes what is printed while it is connected
            print(f"| {name} | {value} |", flush=True)


if __name__ == "__main__":
    main()
