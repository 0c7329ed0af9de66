"""`--shards` of `zoo compose`, `generate` and `synth`: checked, loaded, made shard by shard, told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from zoo.cli.flags import with_flags
from zoo.cli.show import say, show
from zoo.environment import keep_pages, uncollected
from zoo.errors import UsageError
from zoo.files.mapformats import MAP_FORMATS
from zoo.registry.kinds import of_role
from zoo.rng import fresh_seed

if TYPE_CHECKING:
    from zoo.sharding.job import Job
    from zoo.sharding.store import Store

ALONE = ("per_shard", "split", "workers", "ray", "check", "dry_run")
"""Options that mean nothing without `--shards`."""
FOLDERS = ("out", "labelmap", "no_inputs", "overwrite", "paste")
"""Options of a folder of files, which shards are not."""


def check_shard_options(given: dict[str, Any]) -> bool:
    """Whether shards are asked for. Raises UsageError for options that do not go together."""
    if given["shards"] is None:
        for name in ALONE:
            if given[name] not in (None, False):
                raise UsageError(f"<<{name}>> is about shards: say where they go (--shards DIR).")
        return False
    for name in FOLDERS:
        if given.get(name):
            raise UsageError(f"<<{name}>> is about a folder of files, and <<shards>> makes tars: give one of them.")
    return True


def compose_shards(models: tuple[str | None, str | None], given: dict[str, Any]) -> None:
    """Everything of a request as shards. What needs no model is checked first, as for a folder."""
    from zoo.cli.compose import read_options
    from zoo.composition.checks.before_loading import check_reference, quick_check
    from zoo.files.opened import OpenedFiles
    from zoo.files.shardfiles import SHARES, read_shares
    from zoo.inference.forms import check_form
    from zoo.sharding.folder import existing_seed
    from zoo.sharding.plan import shard_size
    from zoo.sharding.store import open_store

    store = open_store(given["shards"])
    if given["ray"] is not None:
        from zoo.sharding.cluster import check_address

        check_address(given["ray"])
    shares = SHARES if given["split"] is None else read_shares(given["split"])
    seed = existing_seed(store) if given["seed"] is None else given["seed"]
    request = read_options(
        {**given, "map_format": given["map_format"] or MAP_FORMATS[1]}, fresh_seed() if seed is None else seed
    )
    shard_size(given["per_shard"], request.batch_size)
    if given.get("parser") is not None:
        check_reference(given["parser"], *of_role("parser"))
    form = {"dtype": given["dtype"], "compile": given["compile"]}
    check_form(**form)
    files = OpenedFiles()
    quick_check(models, request, files)
    for note in files.take_notes():
        say(with_flags(note))

    keep_pages()
    with uncollected():
        from dataclasses import replace

        import torch

        from zoo.composition.chain import compose as load_pair
        from zoo.composition.checks.faces import note_faces, with_frames
        from zoo.composition.checks.whole import describe_randomness
        from zoo.sharding.job import THREADS, make_job
        from zoo.sharding.makers import ComposedMaker, workers_for

        processors = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        composition = load_pair(models, device=given["device"], parser=given.get("parser"), **form)
    request = with_frames(replace(request, device=composition.device), composition.space, files)
    note_faces(request, composition.space, files)
    composition.check(request, files=files)
    for note in files.take_notes():
        say(with_flags(note))
    for mapping in composition.mappings(request):
        say(mapping.describe())
    note = describe_randomness(composition, request)
    if note:
        say(with_flags(note))
    job = make_job(composition, request, files, per_shard=given["per_shard"], shares=shares)
    files.release()
    maker = ComposedMaker(composition, request, files, workers_for(composition, request, processors, job))
    run_shards(job, store, maker, given, processors)


def run_shards(job: Job, store: Store, maker: Any, given: dict[str, Any], processors: int) -> None:
    """Make the shards of a job that are missing, then the index."""
    from zoo.sharding.finish import finish
    from zoo.sharding.folder import begin, finished, settle
    from zoo.sharding.local import make_here
    from zoo.sharding.plan import Plan

    manifest, notes = settle(store, job.manifest)
    plan = Plan.of(manifest)
    with store.locked():
        begin(store, manifest)
        done, damaged = finished(store, plan, check=given["check"])
        for note in notes:
            say(note)
        if done:
            say(f"Continuing {store.place}: {len(done)} of {plan.shards} shards are there.")
        if damaged:
            say(f"{len(damaged)} shards are damaged or incomplete, and are made again.")
        watch = _Lines(plan.shards, plan.samples, done)
        numbers = [n for n in range(plan.shards) if n not in done]
        if given["ray"] is not None:
            from zoo.sharding.actors import make_on_ray

            make_on_ray(
                job, plan, numbers, store, watch, address=given["ray"], workers=given["workers"], processors=processors
            )
        else:
            make_here(maker, plan, numbers, store, watch)
        index = finish(store, plan, watch.facts)
    say(f"{index['samples']} samples in {len(index['shards'])} shards, seed {plan.seed}, digest {index['digest'][:16]}")
    show(store.place)


class _Lines:
    """A line for every shard."""

    def __init__(self, shards: int, samples: int, facts: dict[int, dict[str, Any]]) -> None:
        self.facts, self._shards, self._total = facts, shards, samples
        self._done = sum(f["stop"] - f["start"] for f in facts.values())
        self._made, self._since = 0, time.monotonic()

    def samples(self, count: int) -> None:
        self._made += count

    def lost(self, count: int) -> None:
        self._made -= count

    def note(self, text: str) -> None:
        say(text)

    def shard(self, number: int, facts: dict[str, Any]) -> None:
        self.facts[number] = facts
        self._done += facts["stop"] - facts["start"]
        rate = self._made / max(1e-9, time.monotonic() - self._since)
        say(f"shard {len(self.facts)} of {self._shards}: {self._done} of {self._total} samples, {rate:.1f}/s")
