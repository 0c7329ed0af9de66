"""What lies in a folder of shards when a run begins or goes on: its manifest, and which shards are finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.composition.folder.records import differences
from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import field, parse_json
from zoo.files.shardfiles import FORMAT, INDEX, MANIFEST, STATISTICS, facts_name, readable, shard_number, tar_name
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store

FACTS = 64 << 20
"""Bytes that the facts of a shard may have."""
OTHER = "choose another <<shards>>, or remove that one"


def read_shard_manifest(store: Store, names: Mapping[str, int] | None = None) -> dict[str, Any] | None:
    """The manifest that lies there, or None. Raises DataError for a damaged one, or of another version."""
    if MANIFEST not in (store.sizes() if names is None else names):
        return None
    where = f"{store.place}/{MANIFEST}"
    manifest = parse_json(store.read(MANIFEST), where=where, what="a manifest of shards")
    if manifest.get("format") != FORMAT:
        raise DataError(f"{where} is no manifest of shards that this version knows ({FORMAT}): {OTHER}.")
    Plan.of(manifest)
    return manifest


def existing_seed(store: Store) -> int | None:
    """The seed of the run that lies there, or None."""
    manifest = read_shard_manifest(store)
    return None if manifest is None else Plan.of(manifest).seed


def settle(store: Store, manifest: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The manifest that holds for a run into this store, and what is to be told of it.

    A folder that holds this very run goes on, also with more samples where they are numbered one by one. Raises UsageError for a folder
    that holds anything else.
    """
    names = store.sizes()
    old = read_shard_manifest(store, names)
    if old is None:
        if names:
            raise UsageError(f"{store.place} is not empty and holds no shards of the zoo: choose another <<shards>>.")
        return manifest, []
    differing = differences(old, manifest)
    differing += [n for n in ("device", "threads") if old.get(n) != manifest[n]]
    if set(differing) == {"samples", "request (n)"}:
        _check_growth(store, old, manifest)
    elif differing:
        raise UsageError(f"{store.place} holds other shards (they differ in {', '.join(differing)}): {OTHER}.")
    changed = [
        f"{n} {old['versions'].get(n)} -> {v}" for n, v in manifest["versions"].items() if old["versions"].get(n) != v
    ]
    notes = (
        [f"The run began with other versions, so new shards may differ in the last bits: {', '.join(changed)}."]
        if changed
        else []
    )
    return {**manifest, "versions": old["versions"]}, notes


def _check_growth(store: Store, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise UsageError for another `n` that renumbers samples or takes some away."""
    if new["samples"] != new["request"]["n"] or new["request"].get("style_to") is not None:
        raise UsageError(
            f"{store.place} holds shards with another <<n>>, which would number their samples anew: {OTHER}."
        )
    if new["samples"] < old["samples"]:
        raise UsageError(
            f"{store.place} holds {old['samples']} samples of this run, and <<n={new['samples']}>> asks for fewer: {OTHER}."
        )


def begin(store: Store, manifest: dict[str, Any]) -> None:
    """Write the manifest, if another one or none lies there; the index of a shorter run goes. The store must be locked."""
    content = readable(manifest)
    if MANIFEST in store.sizes() and store.read(MANIFEST) == content:
        return
    store.remove(INDEX)
    store.remove(STATISTICS)
    with store.writing(MANIFEST) as file:
        file.write(content)


def finished(store: Store, plan: Plan, *, check: bool = False) -> tuple[dict[int, dict[str, Any]], list[int]]:
    """The facts of the shards that are finished, by number; and the numbers of those that have files and are not.

    A shard is finished when its facts are there, are those of its samples, and name the size of its tar; check: and its sha256.
    """
    names = store.sizes()
    found: dict[int, dict[str, Any]] = {}
    damaged: list[int] = []
    for number in sorted({n for n in map(shard_number, names) if n is not None and n < plan.shards}):
        facts = _facts(store, plan, number, names)
        if facts is not None and check and store.sha256(tar_name(number)) != facts["sha256"]:
            facts = None
        if facts is None:
            damaged.append(number)
        else:
            found[number] = facts
    return found, damaged


def _facts(store: Store, plan: Plan, number: int, names: Mapping[str, int]) -> dict[str, Any] | None:
    name, samples = facts_name(number), plan.range(number)
    if name not in names or tar_name(number) not in names:
        return None
    try:
        facts = parse_json(store.read(name), where=name, limit=FACTS)
        right = {"shard": number, "start": samples.start, "stop": samples.stop, "bytes": names[tar_name(number)]}
        wrong = any(facts.get(key) != value for key, value in right.items())
        field(facts, "sha256", str, where=name)
        for part in ("classes", "asked", "got", "balance", "splits"):
            field(facts, part, dict, where=name)
        for part in ("hashes", "label_sets"):
            field(facts, part, list, where=name)
    except DataError:
        return None
    return None if wrong else facts
