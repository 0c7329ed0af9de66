"""A worker on a Ray cluster: an actor that loads the models once and makes one shard after the other.

When the driver is gone Ray kills its actors; one that should live on makes no shard for a folder that holds another run by then.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from threading import Thread
from typing import Any

from zoo.errors import DataError
from zoo.files.shardfiles import MANIFEST
from zoo.sharding.job import Job
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store, open_store

_PARENT = 2.0
"""Seconds after which a worker sees that its node is lost."""


class ShardWorker:
    """An actor: the models, loaded once, and the shards that it is asked for. Runs wherever maskzoo is installed."""

    def __init__(self, job: dict[str, Any], place: str, manifest: str) -> None:
        """job: as JSON. place: of the shards, for any process. manifest: sha256 of `shards.json` as the driver wrote it."""
        self._job, self._place, self._manifest = Job.from_json(job), place, manifest
        self._maker: Any = None
        self._made = 0

    def ready(self) -> dict[str, Any]:
        """Load the models. Returns where this is, and what the bytes depend on here."""
        from zoo.environment import keep_pages, uncollected, versions

        Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        keep_pages()
        with uncollected():
            import torch

            self._look(open_store(self._place))
            mine, theirs = versions(), self._job.manifest["versions"]
            differing = [f"{n} {mine.get(n)}, not {v}" for n, v in theirs.items() if mine.get(n) != v]
            from zoo.sharding.makers import build_maker

            self._maker = build_maker(self._job)
        return {"where": _where(), "differing": differing, "processor": torch.backends.cpu.get_cpu_capability()}

    def make(self, number: int) -> dict[str, Any]:
        """Make a shard and write it; returns its facts."""
        from zoo.sharding.make import make_shard

        store, self._made = open_store(self._place), 0
        self._look(store)
        return make_shard(self._maker, Plan.of(self._job.manifest), number, store, self._count)

    def made(self) -> int:
        """Samples of the shard that is being made; answered while it is made."""
        return self._made

    def _count(self, samples: int) -> None:
        self._made += samples

    def _look(self, store: Store) -> None:
        """Raise DataError unless the driver's manifest lies there."""
        try:
            same = hashlib.sha256(store.read(MANIFEST)).hexdigest() == self._manifest
        except DataError:
            same = False
        if not same:
            raise DataError(
                f"The node {_where()} does not see these shards at {self._place}: name a folder that all nodes share, or a URL (s3://…)."
            )


def _where() -> str:
    """This node and process, in words."""
    import ray  # pyright: ignore[reportMissingImports]

    return f"{socket.gethostname()} ({ray.util.get_node_ip_address()}, process {os.getpid()})"


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: an actor whose node was lost by its raylet's death alone would stay for good otherwise."""
    while os.getppid() == parent:
        time.sleep(_PARENT)
    os._exit(1)
