"""`--shards` of `zoo compose`, `generate` and `synth`: checked, loaded, made shard by shard, told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli.compose_request import read_options
from zoo.cli.flags import with_flags
from zoo.cli.shard_run import run_shards
from zoo.cli.show import say
from zoo.environment import keep_pages, uncollected
from zoo.errors import DataError, UsageError, few
from zoo.files.mapformats import MAP_FORMATS
from zoo.registry.kinds import of_role
from zoo.rng import fresh_seed

if TYPE_CHECKING:
    from zoo.sharding.parsed import ParseRequest

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
    if given["ray"] is not None:
        from zoo.sharding.cluster import check_cluster

        check_cluster(given["ray"])  # before models are loaded
    return True


def compose_shards(models: tuple[str | None, str | None], given: dict[str, Any]) -> None:
    """Everything of a request as shards. What needs no model is checked first, as for a folder."""
    from zoo.composition.checks.before_loading import check_reference, quick_check
    from zoo.files.opened import OpenedFiles
    from zoo.files.shardfiles import SHARES, read_shares
    from zoo.inference.forms import check_form
    from zoo.sharding.folder import existing_seed
    from zoo.sharding.plan import shard_size
    from zoo.sharding.store import open_store

    store = open_store(given["shards"])
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

    def make(count: int) -> ComposedMaker:
        return ComposedMaker(composition, request, files, workers_for(composition, request, count, job))

    run_shards(job, store, make, given, processors)


def parse_shards(photos: list[Path], parser: str, request: ParseRequest, device: str, given: dict[str, Any]) -> None:
    """Photos and the maps that are read in them, as shards. Raises DataError in the end for photos that have no map."""
    from zoo.files.shardfiles import SHARES, read_shares
    from zoo.sharding.store import open_store

    store = open_store(given["shards"])
    shares = SHARES if given["split"] is None else read_shares(given["split"])
    if request.framing is not None and not request.framing.auto and len(request.framing.frames) != len(photos):
        raise UsageError(
            f"<<frame>> takes auto or one frame for each photo (here {len(photos)}), got {len(request.framing.frames)}."
        )
    keep_pages()
    with uncollected():
        from functools import partial

        import torch

        from zoo.api import pick_device
        from zoo.composition.models import load_named
        from zoo.composition.roles import check_kind
        from zoo.interfaces.models import MaskParser
        from zoo.sharding.job import THREADS
        from zoo.sharding.parsed import ParsedMaker, make_parse_job

        processors = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        where = str(pick_device(device))
        named = load_named(parser, where, partial(check_kind, of_role("parser")))
    model = named.model
    assert isinstance(model, MaskParser)
    job = make_parse_job(
        named,
        photos,
        request,
        where,
        per_shard=given["per_shard"],
        shares=shares,
        map_format=given["map_format"] or MAP_FORMATS[1],
    )
    if request.space is not None and not (mapping := model.label_space.mapping_to(request.space)).identity:
        say(mapping.describe())
    index = run_shards(job, store, lambda count: ParsedMaker(job, model, count), given, processors)
    if index is not None and index["left_out"]:
        told = few(list(index["left_out"].values()))
        raise DataError(f"{len(index['left_out'])} of {len(photos)} photos are in no shard: {told}.")
