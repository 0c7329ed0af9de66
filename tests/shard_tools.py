"""What the tests of shards share: a request of tiny models, and what lies in a folder of shards."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import zoo
from zoo.composition.request.requests import read_request
from zoo.files.shardfiles import SHARES
from zoo.sharding.job import Job, make_job
from zoo.sharding.make import make_shard
from zoo.sharding.makers import build_maker
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store, open_store


class Notes:
    """A watch that remembers what it is told."""

    def __init__(self) -> None:
        self.made = 0
        self.facts: dict[int, dict[str, Any]] = {}
        self.notes: list[str] = []

    def samples(self, count: int) -> None:
        self.made += count

    def lost(self, count: int) -> None:
        self.made -= count

    def shard(self, number: int, facts: dict[str, Any]) -> None:
        self.facts[number] = facts

    def note(self, text: str) -> None:
        self.notes.append(text)


def tiny_job(pipe: zoo.Composition, *, per_shard: int = 4, **asked: Any) -> Job:
    """A job of 10 samples in batches of 2, in three shards."""
    request = read_request({"n": 10, "seed": 5, "batch_size": 2, "map_format": "grey", **asked})
    return make_job(pipe, request, per_shard=per_shard, shares=SHARES)


def made(job: Job, place: Path | str, *, processors: int = 1) -> Store:
    """All its shards, made in this process."""
    store, plan = open_store(str(place)), Plan.of(job.manifest)
    maker = build_maker(job, processors=processors)
    for number in range(plan.shards):
        make_shard(maker, plan, number, store)
    return store


def digests(store: Store) -> dict[str, str]:
    """The sha256 of every file there."""
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in store.sizes()}


def members(content: bytes) -> dict[str, bytes]:
    """The members of a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
