"""Shards made on a Ray cluster: each worker is an actor that loads the models once and makes one shard after the other.

Ray's scheduler places the actors; the driver deals out the shards and collects what is said of them, so that no shard goes over the network.
A worker that is lost loses the shard that it was making, which goes to another, and a new worker takes its place.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError, UsageError, ZooError
from zoo.files.shardfiles import MANIFEST
from zoo.sharding.cluster import HERE, Head, brief, check_address, connected
from zoo.sharding.job import Job
from zoo.sharding.local import Watch
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store
from zoo.sharding.worker import ShardWorker

ATTEMPTS = 3
"""How often a shard may be begun by workers that are lost."""
START = 300.0
"""Seconds in which a worker must have loaded its models, as long as no other works."""
_TURN = 1.0
"""Seconds between two looks at how far the workers are, of a few workers; of many it is longer."""
HEAD = 30.0
"""Seconds for which the cluster's head may not answer; after 60 Ray ends the driver without a word of ours."""


def make_on_ray(
    job: Job,
    plan: Plan,
    numbers: Sequence[int],
    store: Store,
    watch: Watch,
    *,
    address: str,
    workers: int | None,
    processors: int,
    start: float = START,
) -> None:
    """Make these shards. address: of `zoo.sharding.cluster.check_address`. workers: actors at most (None: as many as the cluster has room for,
    but for one processor). processors: of this machine. start: see `START`.

    Raises DataError where no cluster can be reached, no worker starts or all are lost for `start` seconds, a shard's workers are lost
    `ATTEMPTS` times, and what a worker's `make_shard` raises; finished shards stay.
    """
    if not store.shared:
        raise UsageError(f"{store.place} is seen by one process alone: leave <<ray>> out.")
    if not numbers:
        return
    address = check_address(address)
    wanted = min(workers or max(1, processors - 1), len(numbers))
    with connected(address, wanted * job.manifest["threads"] + 1) as ray:
        if address != HERE:
            wanted = min(workers or _room(ray, job), len(numbers))
        crew = _Crew(ray, job, store, watch, wanted, start)
        try:
            crew.make(numbers)
        finally:
            crew.end()


def resources(job: Job) -> dict[str, float]:
    """What one worker takes of its node: a processor for each thread, and on GPUs one of them."""
    threads = float(job.manifest["threads"])
    return {"num_cpus": threads, "num_gpus": 1.0} if job.manifest["device"] == "cuda" else {"num_cpus": threads}


def _room(ray: Any, job: Job) -> int:
    """Workers that the cluster has room for, one processor left free (a pool that takes all can keep others waiting for ever)."""
    there = ray.cluster_resources()
    if job.manifest["device"] == "cuda":
        return max(1, int(there.get("GPU", 0)))
    return max(1, int((there.get("CPU", 0) - 1) / job.manifest["threads"]))


@dataclass
class _Worker:
    """An actor. number: of the shard that it makes; told: samples of it that the watch knows of; asked: a look that is not answered yet."""

    actor: Any
    where: str = ""
    number: int | None = None
    told: int = 0
    asked: Any = None


class _Crew:
    """The actors of a run, by the answers that the driver waits for."""

    def __init__(self, ray: Any, job: Job, store: Store, watch: Watch, workers: int, start: float) -> None:
        self._ray, self._job, self._store, self._watch, self._start = ray, job, store, watch, start
        self._digest = hashlib.sha256(store.read(MANIFEST)).hexdigest()
        self._class = ray.remote(scheduling_strategy="SPREAD", concurrency_groups={"look": 1}, **resources(job))(
            ShardWorker
        )
        self._starting: dict[Any, _Worker] = {}
        self._making: dict[Any, _Worker] = {}
        self._idle: list[_Worker] = []
        self._todo: deque[int] = deque()
        self._lost: Counter[int] = Counter()
        self._unused = 0
        self._kinds: set[str] = set()
        self._differing: set[str] = set()
        for _ in range(workers):
            self._hire()

    def make(self, numbers: Sequence[int]) -> None:
        """Deal out the shards until all are made."""
        self._todo.extend(numbers)
        since = looked = time.monotonic()
        head = Head(self._ray)
        while self._todo or self._making:
            while self._todo and self._idle:
                self._give(self._idle.pop(), self._todo.popleft())
            waiting = [*self._starting, *self._making]
            for answer in self._ray.wait(waiting, num_returns=1, timeout=_TURN)[0]:
                self._hear(answer)
            now = time.monotonic()
            if now - looked > _TURN * max(1.0, len(self._making) / 100):
                looked = now
                self._look()
                if head.silent() > HEAD:
                    raise DataError(f"The head of the Ray cluster ({head.address}) has not answered for {HEAD:.0f} s.")
            if self._making or self._idle:
                since = now
            elif now - since > self._start:
                raise DataError(self._nobody())

    def end(self) -> None:
        """End all actors, those at work in the midst of it."""
        for worker in [*self._starting.values(), *self._making.values(), *self._idle]:
            self._ray.kill(worker.actor)

    def _hire(self) -> None:
        worker = _Worker(self._class.remote(self._job.to_json(), self._store.absolute, self._digest))
        self._starting[worker.actor.ready.remote()] = worker

    def _give(self, worker: _Worker, number: int) -> None:
        worker.number, worker.told, worker.asked = number, 0, None
        self._making[worker.actor.make.remote(number)] = worker

    def _hear(self, answer: Any) -> None:
        """Take what a worker says, or that it is gone."""
        starting = answer in self._starting
        worker = self._starting.pop(answer) if starting else self._making.pop(answer)
        try:
            said = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise _of_worker(error, worker) from error
        except self._ray.exceptions.RayError as error:
            self._replace(worker, error)
            return
        if starting:
            self._greet(worker, said)
        else:
            assert worker.number is not None
            self._unused = 0
            self._watch.samples(said["stop"] - said["start"] - worker.told)
            self._watch.shard(worker.number, said)
            worker.number = None
        self._idle.append(worker)

    def _greet(self, worker: _Worker, said: dict[str, Any]) -> None:
        worker.where = said["where"]
        for text in said["differing"]:
            if text not in self._differing:
                self._differing.add(text)
                self._watch.note(
                    f"{worker.where} has other versions, so its shards may differ in the last bits: {text}."
                )
        if self._kinds and said["processor"] not in self._kinds:
            kinds = ", ".join(sorted({*self._kinds, said["processor"]}))
            self._watch.note(
                f"The nodes' processors differ ({kinds}), so shards may differ in the last bits by where they are made; the same"
                " ATEN_CPU_CAPABILITY on all nodes makes them equal."
            )
        self._kinds.add(said["processor"])

    def _replace(self, worker: _Worker, error: Exception) -> None:
        """Another actor for one that is gone; its shard is the next that is dealt out."""
        number, fault = worker.number, _fault(error)
        if number is None:
            self._unused += 1
            if self._unused == ATTEMPTS:
                raise DataError(
                    f"Workers are lost before they have begun ({fault}): each node needs maskzoo, and memory for the models."
                )
        else:
            self._watch.lost(worker.told)
            self._lost[number] += 1
            if self._lost[number] == ATTEMPTS:
                raise DataError(
                    f"Shard {number} was lost {ATTEMPTS} times with its worker ({fault}): if the memory is full, fewer <<workers>> or a"
                    " smaller <<batch_size>> need less."
                )
            self._watch.note(f"The worker on {worker.where} was lost ({fault}): shard {number} is made again.")
            self._todo.appendleft(number)
        self._hire()

    def _look(self) -> None:
        """Tell of what the workers have made of their shards; who does not answer in time is asked no second time."""
        for worker in self._making.values():
            if worker.asked is None:
                worker.asked = worker.actor.made.options(concurrency_group="look").remote()
        answers = {w.asked: w for w in self._making.values() if w.asked is not None}
        for answer in self._ray.wait(list(answers), num_returns=len(answers), timeout=0.1)[0] if answers else ():
            worker = answers[answer]
            worker.asked = None
            try:
                made = self._ray.get(answer)
            except self._ray.exceptions.RayError:  # it is gone, which its shard's answer tells
                continue
            if made > worker.told:
                self._watch.samples(made - worker.told)
                worker.told = made

    def _nobody(self) -> str:
        needs = " and ".join(f"{value:g} {name[4:-1].upper()}" for name, value in resources(self._job).items())
        free = self._ray.available_resources()
        there = ", ".join(f"{free.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
        return (
            f"No worker has been ready for {self._start:.0f} s: each needs {needs} of a node, and the cluster has {there} free (ray status tells"
            " more)."
        )


def _of_worker(error: Any, worker: _Worker) -> ZooError:
    """What was raised in a worker, as it would be raised here."""
    cause = error.cause
    if isinstance(cause, ZooError):
        return type(cause)(*cause.args)
    what = "a worker's start" if worker.number is None else f"shard {worker.number}"
    raised = DataError(f"A worker failed at {what} ({type(cause).__name__}: {brief(cause)}).")
    raised.add_note(str(error))
    return raised


def _fault(error: Exception) -> str:
    """Why an actor is gone: what Ray tells of its process, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    for mark in ("ModuleNotFoundError", "Worker exit detail:", "The actor died because", "The actor is dead because"):
        for line in lines:
            if mark in line:
                told = line[line.index(mark) :].removeprefix("Worker exit detail:").partition(" Some common causes")[0]
                return told.partition(" Node Id:")[0].strip()[:200].rstrip(".")
    return brief(error)
