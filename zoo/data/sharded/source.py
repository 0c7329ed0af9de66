"""shards:DIR: the pairs of a shard folder by number, without unpacking it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.files import LabelArray, PhotoArray, label_array, photo_array
from zoo.data.folder import stated_space
from zoo.data.pairs import Counted, Source
from zoo.data.places import folders_of, labels_of
from zoo.data.sharded.checking import ShardCounts, faults_of
from zoo.data.sharded.finding import AGAIN, Folder, Shard, check_count, find, left_out, local_tar, tell_left_out
from zoo.data.sharded.listing import IMAGE, MAP, RECORD, Listing, listing_of
from zoo.data.splits import ordered
from zoo.errors import DataError, UsageError, did_you_mean, few
from zoo.files.decoding import decode_image
from zoo.files.jsonfiles import parse_json
from zoo.files.shardfiles import MANIFEST
from zoo.labels import LabelSpace
from zoo.registry import label_space


class Shards(Source):
    """The samples of all finished shards, named by their numbers. A pair is read by its place in the tar: any order costs the same.

    path: a folder, an fsspec URL of one (each shard is then fetched into the cache once and held against its digest), tars
    (`DIR/shard-{000000..000012}.tar`), or folders joined (`A+B`: names become FOLDER/NUMBER). split: by the records' own. space: the
    maps' label space, needed only where neither manifest nor records name it.
    Shards that are missing or not finished are left out with a warning. Raises DataError where nothing is left, or where the
    samples hold no maps.
    """

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        if path is None:
            raise UsageError("The data set shards needs its place: shards:DIR.")
        self.path, self.folders = path, find([part.rstrip("/") for part in folders_of(path)])
        self.location = " + ".join(f.place.base for f in self.folders)
        self.shards, self._tars, listings = opened(self.folders)
        tell_left_out(self.folders)
        self.label_space = space_of(self.folders, [listing.space for listing in listings], space)
        found = {s for listing in listings for s in listing.splits}
        self.splits = ordered(found - {""})
        if split is not None and split not in self.splits:
            raise DataError(
                f"{self.location} has no split {split!r}{did_you_mean(split, self.splits)} (splits: {', '.join(self.splits) or 'none'})."
            )
        self._choose(listings, split)

    def _choose(self, listings: Sequence[Listing], split: str | None) -> None:
        counts = [len(listing.keys) for listing in listings]
        shards = np.repeat(np.arange(len(listings)), counts)
        places = np.concatenate([listing.places for listing in listings])
        keys = [key for listing in listings for key in listing.keys]
        if split is not None:
            wanted = [s == split for listing in listings for s in listing.splits]
            shards, places = shards[wanted], places[wanted]
            keys = [key for key, there in zip(keys, wanted, strict=True) if there]
        self._shards, self._places = shards, places
        if len(self.folders) > 1:
            labels = dict(
                zip((f.place for f in self.folders), labels_of([f.place.base for f in self.folders]), strict=True)
            )
            keys = [f"{labels[self.shards[n].place]}/{key}" for key, n in zip(keys, shards.tolist(), strict=True)]
        self.names = tuple(keys)
        sizes = places[:, :, 1]
        if not sizes[:, MAP].all():
            raise DataError(
                f"{self._told(int((sizes[:, MAP] == 0).argmax()))} has no map: pictures alone are no data set of pairs."
            )
        self.has_images = bool(sizes[0, IMAGE])
        if (sizes[:, IMAGE] > 0).any() != (sizes[:, IMAGE] > 0).all():
            raise DataError(f"{self.location}: some samples have a picture, others a map alone.")

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        where = Path(self._told(index))
        photo = None
        with self._tars[self._shards[index]].open("rb") as file:
            content = [self._bytes(file, index, role) for role in (IMAGE, MAP)]
        if content[0]:
            photo = photo_array(where, decode_image(where, io.BytesIO(content[0])), size)
        labels = label_array(where, decode_image(where, io.BytesIO(content[1]), exact=True), self.label_space, size)
        return photo, labels

    def record(self, index: int) -> dict[str, Any]:
        """What is told of a sample: labels, seed, edits, split. {} where the shard has no record of it. Raises DataError."""
        with self._tars[self._shards[index]].open("rb") as file:
            content = self._bytes(file, index, RECORD)
        return parse_json(content, where=self._told(index)) if content else {}

    def image_bytes(self, index: int) -> bytes:
        """The picture as its file is (PNG, JPEG or WebP); b"" for maps alone."""
        with self._tars[self._shards[index]].open("rb") as file:
            return self._bytes(file, index, IMAGE)

    def _bytes(self, file: Any, index: int, role: int) -> bytes:
        offset, size = self._places[index, role].tolist()
        file.seek(offset)
        content = file.read(size)
        if len(content) < size:
            raise DataError(f"{self._told(index)}: the tar has been cut off since it was opened.")
        return content

    def _told(self, index: int) -> str:
        """A sample in messages: its tar and its number."""
        return f"{self.shards[self._shards[index]].told}:{self.names[index].rpartition('/')[2]}"

    def origin(self, index: int) -> str:
        return self._told(index)

    def places(self) -> list[str]:
        return [folder.place.base for folder in self.folders]

    def leftovers(self) -> list[str]:
        return [f"{line}: {AGAIN}" for line in left_out(self.folders)]

    def damage(self) -> list[str]:
        return faults_of(self.folders)

    def counted(self) -> Counted:
        return ShardCounts(self.shards, self.label_space, self._shards.tolist())

    def notes(self) -> list[str]:
        promised = sum(folder.expected or len(folder.shards) for folder in self.folders if folder.asked is None)
        of = f" of {promised}" if promised else ""
        return [f"{len(self.shards)}{of} shards, {sum(shard.bytes for shard in self.shards):,} bytes"]


def opened(folders: Sequence[Folder]) -> tuple[list[Shard], list[Path], list[Listing]]:
    """The shards that can be read, their tars on this machine and what these hold; the others go to the folders' `left_out`."""
    shards, tars, listings = [], [], []
    for folder in folders:
        for shard in folder.shards:
            try:
                tar = local_tar(shard)
                listing = listing_of(tar, shard.told)
                check_count(shard, len(listing.keys))
            except DataError as error:
                folder.left_out[shard.number] = f"{str(error).rstrip('.')} (delete it and its JSON)"
                continue
            shards.append(shard)
            tars.append(tar)
            listings.append(listing)
        folder.shards = [shard for shard in folder.shards if shard.number not in folder.left_out]
    return shards, tars, listings


def space_of(folders: Sequence[Folder], records: Sequence[str], given: LabelSpace | None) -> LabelSpace:
    """The label space of the maps: what manifests say, else the caller, else the records. Raises DataError where folders differ."""
    stated: list[LabelSpace] = []
    for folder in folders:
        where = Path(folder.place.at(MANIFEST))
        space = (
            stated_space(folder.manifest, where, given)
            if folder.manifest and "label_space" in folder.manifest
            else None
        )
        stated += [space] if space is not None else []
    names = [name for name in dict.fromkeys(records) if name]
    if not stated and given is not None:
        stated = [given]
    stated = stated or [label_space(name) for name in names]
    if not stated:
        raise UsageError('Which label space are the maps of these shards in? Name it (<<space="celebamask-hq">>).')
    others = [space.name for space in stated if space.names != stated[0].names]
    if others:
        raise DataError(
            f"These shards are in several label spaces ({stated[0].name}, {few(others)}): read them one by one."
        )
    return stated[0]
