"""A job of shards run from the command line: what is there, what is missing, which engine, what is told in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.cli.shard_progress import ShardWatch, duration, watching
from zoo.cli.show import say, show
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.sharding.job import Job
    from zoo.sharding.make import Maker
    from zoo.sharding.plan import Plan
    from zoo.sharding.store import Store

ROWS = 8
"""Classes that are told of, where some did not come as asked for."""


def run_shards(
    job: Job, store: Store, make: Callable[[int], Maker], given: dict[str, Any], processors: int
) -> dict[str, Any] | None:
    """Make the shards of a job that are missing, then the index, which it returns; or, with `dry_run`, say what that would take.

    make: the maker of this process for so many processors.
    """
    from zoo.sharding.finish import finish
    from zoo.sharding.folder import begin, finished, settle
    from zoo.sharding.plan import Plan

    manifest, notes = settle(store, job.manifest)
    plan = Plan.of(manifest)
    for note in notes:
        say(note)
    if given["dry_run"]:
        there, _ = finished(store, plan)
        _dry(plan, [n for n in range(plan.shards) if n not in there], make, given, processors)
        return None
    with store.locked():
        manifest, _ = settle(store, job.manifest)  # it may have changed until now
        begin(store, manifest)
        facts, damaged = finished(store, plan, check=given["check"])
        missing = [n for n in range(plan.shards) if n not in facts]
        try:
            if facts:
                say(f"Continuing {store.place}: {len(facts)} of {plan.shards} shards are there.")
            if damaged:
                say(f"{len(damaged)} shards are damaged or incomplete, and are made again.")
            with watching(plan.shards, plan.samples, facts) as watch:
                _make(job, plan, missing, store, watch, make, given, processors)
        except DataError as error:
            raise DataError(f"{str(error.args[0]).rstrip('.')}. {_kept(store, plan, facts)}") from error
        except KeyboardInterrupt:
            say(_kept(store, plan, facts))
            raise
        index = finish(store, plan, facts)
    _report(index, plan)
    show(store.place)
    return index


def _make(
    job: Job,
    plan: Plan,
    missing: list[int],
    store: Store,
    watch: ShardWatch,
    make: Callable[[int], Maker],
    given: dict[str, Any],
    processors: int,
) -> None:
    """The missing shards, by the engine that is asked for."""
    from zoo.sharding.local import make_here
    from zoo.sharding.processes import make_in_processes

    workers = given["workers"]
    if not missing:
        return
    if given["ray"] is not None:
        from zoo.sharding.actors import make_on_ray

        address = given["ray"]
        make_on_ray(job, plan, missing, store, watch, address=address, workers=workers, processors=processors)
    elif workers is None or workers == 1 or len(missing) == 1:
        make_here(make(1 if workers == 1 else processors), plan, missing, store, watch)
    else:
        make_in_processes(job, plan, missing, store, watch, workers=workers, processors=processors)


def _kept(store: Store, plan: Plan, facts: dict[int, dict[str, Any]]) -> str:
    return f"{len(facts)} of {plan.shards} shards are finished and stay in {store.place}; the same command goes on with the others."


def _dry(plan: Plan, missing: list[int], make: Callable[[int], Maker], given: dict[str, Any], processors: int) -> None:
    """Say what is missing and what it would take."""
    from zoo.sharding.dry import measure

    parallel = max(1, min(processors if given["workers"] is None else given["workers"], processors))
    found = measure(make(1), plan, missing, parallel)
    show(f"{found.samples} samples in {found.shards} shards of {plan.per_shard}")
    if found.samples:
        show(f"about {size(found.total_bytes)}, {size(found.bytes)} a sample")
        show(
            f"about {duration(found.total_seconds)} with {parallel} of {processors} processors,"
            f" {found.seconds:.3g} s of one a sample (a few were made and timed)"
        )


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"
        count /= 1000
    return ""


def _report(index: dict[str, Any], plan: Plan) -> None:
    """What a user should know of finished shards."""
    missed = {n: (c, index["asked"][n]) for n, c in index["got"].items() if c < index["asked"][n]}
    if missed:
        told = [f"{n} in {asked - got} of {asked}" for n, (got, asked) in list(missed.items())[:ROWS]]
        say(
            "Asked for and empty: "
            + ", ".join(told)
            + (f", … {len(missed)} classes" if missed.keys() - set(list(missed)[:ROWS]) else "")
        )
    if index["rejected"]:
        say(f"Drawn again: {index['rejected']} draws; {index['exhausted']} samples never showed what was required.")
    pairs = index["duplicates"]
    if pairs["equal"] or pairs["near"]:
        say(
            f"Look alike: {pairs['equal']} pairs with equal hashes, {pairs['near']} that differ in {pairs['distance']} bits or fewer."
        )
    say(
        f"{index['samples']} samples in {len(index['shards'])} shards, {size(index['bytes'])}, seed {plan.seed}, digest"
        f" {index['digest'][:16]}"
    )
