"""What stands beside finished shards: an index with their digests, and the statistics of all samples. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from zoo.files.shardfiles import FORMAT, INDEX, STATISTICS, digest_of, readable, tar_name
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store


def finish(store: Store, plan: Plan, shards: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Write `index.json` and `statistics.json` of shards that are all there, by their facts; returns the index. Raises DataError."""
    index = make_index(plan, shards)
    for name, content in ((STATISTICS, make_statistics(plan, shards)), (INDEX, index)):
        with store.writing(name) as file:
            file.write(readable(content))
    return index


def make_index(plan: Plan, shards: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """shards: name, sha256, bytes and samples of each; digest: one for all of them (`shardfiles.digest_of`)."""
    rows = [
        {
            "name": tar_name(n),
            "sha256": shards[n]["sha256"],
            "bytes": shards[n]["bytes"],
            "start": shards[n]["start"],
            "samples": shards[n]["samples"],
        }
        for n in sorted(shards)
    ]
    return {
        "format": FORMAT,
        "kind": plan.kind,
        "samples": sum(row["samples"] for row in rows),
        "bytes": sum(row["bytes"] for row in rows),
        "digest": digest_of({row["name"]: row["sha256"] for row in rows}),
        "splits": _sum(shards, "splits"),
        "shards": rows,
    }


def make_statistics(plan: Plan, shards: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """classes: in how many maps each is, and its pixels; asked, got: samples in which a class was asked for, and those where it came."""
    maps: Counter[str] = Counter()
    pixels: Counter[str] = Counter()
    for facts in shards.values():
        for name, counts in facts["classes"].items():
            maps[name] += counts["maps"]
            pixels[name] += counts["pixels"]
    return {
        "format": FORMAT,
        "samples": sum(facts["samples"] for facts in shards.values()),
        "classes": {name: {"maps": maps[name], "pixels": pixels[name]} for name in maps},
        "asked": _sum(shards, "asked"),
        "got": _sum(shards, "got"),
        "rejected": sum(facts["rejected"] for facts in shards.values()),
        "exhausted": sum(facts["exhausted"] for facts in shards.values()),
        "splits": _sum(shards, "splits"),
    }


def _sum(shards: Mapping[int, Mapping[str, Any]], part: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for facts in shards.values():
        for name, count in facts[part].items():  # also those with 0
            total[name] += count
    return dict(total)
