"""What stands beside finished shards: an index with their digests, and the statistics of all samples. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from zoo.files.shardfiles import FORMAT, INDEX, STATISTICS, digest_of, key_of, listed_sets, readable, tar_name
from zoo.sharding.duplicates import NEAR, duplicates
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store

Shards = Mapping[int, Mapping[str, Any]]
"""The facts of each, by number."""


def finish(store: Store, plan: Plan, shards: Shards) -> dict[str, Any]:
    """Write `statistics.json`, then `index.json`, of shards that are all there; returns the index. Raises DataError."""
    index = make_index(plan, shards)
    for name, content in ((STATISTICS, make_statistics(plan, shards)), (INDEX, index)):
        with store.writing(name) as file:
            file.write(readable(content))
    return index


def make_index(plan: Plan, shards: Shards) -> dict[str, Any]:
    """shards: name, sha256, bytes, first sample and samples of each; digest: one for all of them (`shardfiles.digest_of`); how many samples
    are in each split; of each class asked for, in how many samples, and in how many it came; what was drawn again (rejected) and in vain
    (exhausted); which samples look alike (`duplicates.duplicates`, with keys for numbers); why there is nothing of some."""
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
        "asked": _sum(shards, "asked"),
        "got": _sum(shards, "got"),
        "rejected": sum(facts["rejected"] for facts in shards.values()),
        "exhausted": sum(facts["exhausted"] for facts in shards.values()),
        "duplicates": _alike(plan, shards),
        "left_out": {key: reason for n in sorted(shards) for key, reason in shards[n].get("left_out", {}).items()},
        "shards": rows,
    }


def make_statistics(plan: Plan, shards: Shards) -> dict[str, Any]:
    """classes: of each that some map shows, in how many maps it is and how many pixels show it, and both as shares of all."""
    maps: Counter[str] = Counter()
    pixels: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    got: Counter[str] = Counter()
    for facts in shards.values():
        for name, counts in facts["classes"].items():
            maps[name] += counts["maps"]
            pixels[name] += counts["pixels"]
        for name, counts in facts["balance"].items():
            asked[name] += counts["asked"]
            got[name] += counts["got"]
    samples, area = sum(facts["samples"] for facts in shards.values()), sum(pixels.values())
    return {
        "format": FORMAT,
        "kind": plan.kind,
        "label_space": plan.space,
        "samples": samples,
        "classes": {
            name: {
                "maps": maps[name],
                "pixels": pixels[name],
                "share_of_maps": round(maps[name] / max(1, samples), 6),
                "share_of_pixels": round(pixels[name] / max(1, area), 6),
            }
            for name in maps
        },
        "label_sets": _sets(shards),
        "asked": _sum(shards, "asked"),
        "got": _sum(shards, "got"),
        "balance": {n: {"asked": asked[n], "got": got[n]} for n in asked},
        "splits": _sum(shards, "splits"),
    }


def _sets(shards: Shards) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for facts in shards.values():
        for entry in facts["label_sets"]:
            counts[tuple(entry["labels"])] += entry["count"]
    return listed_sets(counts)


def _sum(shards: Shards, part: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for facts in shards.values():
        for name, count in facts[part].items():  # also those with 0
            total[name] += count
    return dict(total)


def _alike(plan: Plan, shards: Shards) -> dict[str, Any]:
    hashes = [h for n in sorted(shards) for h in shards[n]["hashes"]]
    keys = [key_of(i) for n in sorted(shards) for i in shards[n].get("indices") or _indices(shards[n])]
    # the flat areas of maps differ in few bits though the maps differ: of them only equal hashes say something
    found = duplicates(hashes, 0 if plan.kind == "maps" else NEAR)
    return {**found, "pairs": [[keys[a], keys[b], bits] for a, b, bits in found["pairs"]]}


def _indices(facts: Mapping[str, Any]) -> list[int]:
    """The numbers of the samples that are in a shard."""
    left_out = facts.get("left_out", {})
    return [i for i in range(facts["start"], facts["stop"]) if key_of(i) not in left_out]
