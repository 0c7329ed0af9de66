"""What is damaged or missing in a folder of shards, and what to do: `zoo data check shards:DIR`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.pairs import Counted
from zoo.data.sharded.finding import AGAIN, CHUNK, Folder, Shard, local_tar
from zoo.data.sharded.listing import IMAGE, MAP, RECORD, listing_of
from zoo.errors import DataError, few
from zoo.files.jsonfiles import parse_json
from zoo.files.shardfiles import INDEX, SPLITS, STATISTICS, digest_of, facts_name, key_of, split_of, tar_name
from zoo.labels import IGNORE, LabelSpace

REMAKE = f"delete the tar and its JSON and {AGAIN}"


def faults_of(folders: Sequence[Folder]) -> list[str]:
    """A line for each fault of tars, sidecars, records and index, except those that `Folder.left_out` tells already."""
    return [line for folder in folders for line in _faults(folder)]


def _faults(folder: Folder) -> list[str]:
    lines: list[str] = []
    if folder.manifest is None:
        lines.append(f"{folder.place.base} has no shards.json, so nothing says how many shards there should be")
    else:
        lines += _missing(folder)
    for shard in folder.shards:
        try:
            faults = _shard_faults(shard, folder.manifest)
        except DataError as error:
            faults = [f"{str(error).rstrip('.')}: {REMAKE}"]
        lines += faults
    if folder.asked is None:
        try:
            lines += _index_faults(folder)
        except DataError as error:
            lines.append(f"{str(error).rstrip('.')}: delete it and {AGAIN}")
    return lines


def _missing(folder: Folder) -> list[str]:
    if folder.asked is not None or folder.expected is None:
        return []
    there = {shard.number for shard in folder.shards} | set(folder.left_out)
    missing = [tar_name(n) for n in range(folder.expected) if n not in there]
    beyond = [tar_name(n) for n in sorted(there) if n >= folder.expected]
    lines = []
    if missing:
        lines.append(
            f"{folder.place.base}: {len(missing)} of {folder.expected} shards are missing ({few(missing)}): {AGAIN}"
        )
    if beyond:
        lines.append(
            f"{folder.place.base}: shards.json knows {folder.expected} shards, there lies more ({few(beyond)})"
        )
    return lines


def _shard_faults(shard: Shard, manifest: Mapping[str, Any] | None) -> list[str]:
    lines = []
    if _sha256(shard) != shard.sha256:
        lines.append(f"{shard.told} is damaged: its sha256 is not the one in {facts_name(shard.number)}: {REMAKE}")
    keys = listing_of(local_tar(shard), shard.told)
    wanted = [key_of(n) for n in range(shard.start, shard.stop)]
    if shard.samples != len(keys.keys) or shard.facts.get("shard") != shard.number:
        lines.append(f"{facts_name(shard.number)} contradicts itself (shard, start, stop, samples): {REMAKE}")
    left_out = shard.facts.get("left_out")  # photos that could not be read, when they were parsed
    wanted = [key for key in wanted if not isinstance(left_out, dict) or key not in left_out]
    if list(keys.keys) != wanted:
        odd = few(sorted(set(wanted) ^ set(keys.keys)))
        lines.append(f"{shard.told} holds other samples than {shard.start} to {shard.stop - 1} ({odd}): {REMAKE}")
    if manifest is not None:
        first = shard.number * manifest["per_shard"]
        if (shard.start, shard.stop) != (first, min(first + manifest["per_shard"], manifest["samples"])):
            lines.append(
                f"{facts_name(shard.number)} says samples {shard.start} to {shard.stop}, shards.json others: {REMAKE}"
            )
    hashes = shard.facts.get("hashes")
    if hashes is not None and (not isinstance(hashes, list) or len(hashes) != shard.samples):
        lines.append(f"{facts_name(shard.number)} has not one perceptual hash a sample: {REMAKE}")
    kind = manifest["kind"] if manifest is not None else None
    has = keys.places[:, :, 1] > 0
    for role, name, needed in ((IMAGE, "picture", kind == "pairs"), (MAP, "map", True), (RECORD, "record", True)):
        if needed and not has[:, role].all():
            without = [key for key, one in zip(keys.keys, has[:, role].tolist(), strict=True) if not one]
            lines.append(f"{shard.told}: {len(without)} samples have no {name} ({few(without)}): {REMAKE}")
    return lines + _record_faults(shard, keys.keys, keys.places[:, RECORD].tolist(), manifest)


def _record_faults(
    shard: Shard, keys: Sequence[str], places: Sequence[Sequence[int]], manifest: Mapping[str, Any] | None
) -> list[str]:
    """Records that are another sample's, of another label space, or of a split that nobody has."""
    faults: Counter[str] = Counter()
    first: dict[str, str] = {}
    space, split = _space_name(manifest), _splitting(manifest)
    with local_tar(shard).open("rb") as file:
        for key, (offset, size) in zip(keys, places, strict=True):
            if not size:
                continue
            file.seek(offset)
            record = parse_json(file.read(size), where=f"{shard.told}:{key}")
            for name, good in (
                ("number", record.get("index") == int(key)),
                ("label space", space is None or record.get("label_space", space) == space),
                (
                    "split",
                    record.get("split") == split(int(key)) if split else record.get("split", SPLITS[0]) in SPLITS,
                ),
            ):
                if not good:
                    faults[name] += 1
                    first.setdefault(name, key)
    return [
        f"{shard.told}: the records of {n} samples name another {name} (the first is {first[name]}): {REMAKE}"
        for name, n in faults.items()
    ]


def _space_name(manifest: Mapping[str, Any] | None) -> str | None:
    stated = (manifest or {}).get("label_space")
    name = stated.get("name") if isinstance(stated, dict) else stated
    return name if isinstance(name, str) else None


def _splitting(manifest: Mapping[str, Any] | None) -> Callable[[int], str] | None:
    """The split of a sample by its number, where the manifest says seed and shares."""
    shares, request = (manifest or {}).get("split"), (manifest or {}).get("request")
    seed = request.get("seed") if isinstance(request, dict) else None
    if not isinstance(seed, int) or not isinstance(shares, dict) or list(shares) != list(SPLITS):
        return None
    if not all(isinstance(share, int | float) for share in shares.values()):
        return None
    return lambda index: split_of(seed, index, list(shares.values()))


def _sha256(shard: Shard) -> str:
    digest = hashlib.sha256()
    with local_tar(shard).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _index_faults(folder: Folder) -> list[str]:
    """What `index.json` says against what lies there."""
    sizes = folder.place.sizes()
    if INDEX not in sizes:
        complete = folder.expected is not None and len(folder.shards) == folder.expected
        return [f"{folder.place.base} has no {INDEX}, so the run did not end: {AGAIN}"] if complete else []
    where, values = folder.place.at(INDEX), folder.place.json(INDEX, "an index of shards")
    digests = digests_in(values)
    if digests is None:
        return [f"{where} lists no shards: delete it and {AGAIN}"]
    lines = []
    for shard in folder.shards:
        stated = digests.get(shard.name)
        if stated != shard.sha256:
            lines.append(
                f"{where} says {stated or 'nothing'} of {shard.name}, {facts_name(shard.number)} says {shard.sha256}"
            )
    lines += [f"{where} lists {name}, which is not there: {AGAIN}" for name in sorted(set(digests) - set(sizes))]
    if isinstance(values.get("digest"), str) and values["digest"] != digest_of(digests):
        lines.append(f"{where}: its digest is not that of its list: delete it and {AGAIN}")
    if STATISTICS not in sizes:
        lines.append(f"{folder.place.base} has no {STATISTICS}: delete {INDEX} and {AGAIN}")
    return lines


def digests_in(index: Mapping[str, Any]) -> dict[str, str] | None:
    """The sha256 of each tar by `index.json`: of an object by names, or a list of objects; None if it has neither."""
    shards = index.get("shards")
    if isinstance(shards, list):
        shards = {s["name"]: s for s in shards if isinstance(s, dict) and isinstance(s.get("name"), str)}
    if not isinstance(shards, dict):
        return None
    return {name: str(s.get("sha256") if isinstance(s, dict) else s) for name, s in shards.items()}


class ShardCounts(Counted):
    """Pixels and maps of each class by shard, to be compared with what the sidecars state."""

    def __init__(self, shards: Sequence[Shard], space: LabelSpace, rows: Sequence[int]) -> None:
        """rows: for each sample of the data set the position of its shard."""
        self._shards, self._space, self._rows = shards, space, rows
        self._found = np.zeros((len(shards), 2, IGNORE + 1), np.int64)
        self._seen = np.zeros(len(shards), np.int64)

    def look(self, index: int, counts: np.ndarray) -> None:
        row = self._rows[index]
        self._found[row] += np.stack([counts > 0, counts]).astype(np.int64)
        self._seen[row] += 1

    def problems(self) -> list[str]:
        lines = []
        for shard, found, seen in zip(self._shards, self._found, self._seen, strict=True):
            stated = shard.facts.get("classes")
            if seen != shard.samples or not isinstance(stated, dict):  # one split, or maps that could not be read
                continue
            odd = [
                name
                for value, name in enumerate(self._space.names)
                if _stated(stated, name) != found[:, value].tolist()
            ]
            if odd:
                lines.append(
                    f"{shard.told} shows other classes than {facts_name(shard.number)} counts ({few(odd)}): {REMAKE}"
                )
        return lines


def _stated(classes: Mapping[str, Any], name: str) -> list[Any]:
    entry = classes.get(name)
    return [entry.get("maps", 0), entry.get("pixels", 0)] if isinstance(entry, dict) else [0, 0]
