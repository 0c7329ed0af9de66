"""The names of a folder of shards and of the members of its tars: what is written and what is read mean the same. No torch in here.

shards.json                    the manifest, written first: the request, the models, how samples are divided into shards
shard-000000.tar               per sample KEY.image.png (or .jpg), KEY.map.png and KEY.json; KEY: its number in nine digits
shard-000000.json              written after its tar, with the tar's size and sha256: a shard without it is not finished
index.json, statistics.json    once all shards are there
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import UsageError
from zoo.files.pictureformats import PICTURE_FORMATS

FORMAT = "zoo-shards/1"
MANIFEST, INDEX, STATISTICS = "shards.json", "index.json", "statistics.json"
KINDS = ("pairs", "maps", "pictures", "parsed")
"""What a sample has: a picture and its map, a map alone, a picture alone; a photo and the map that was read in it."""
SPLITS = ("train", "val", "test")
SHARES = (0.9, 0.05, 0.05)
"""Of the samples, where nothing is said."""
MAP_SUFFIX = "map.png"
IMAGE_SUFFIXES = tuple(f"image{ending}" for ending in PICTURE_FORMATS.values())
RECORD_SUFFIX = "json"
_SHARD = re.compile(r"shard-(\d{6,})\.(tar|json)")


def tar_name(number: int) -> str:
    """The name of a shard's tar."""
    return f"shard-{number:06d}.tar"


def facts_name(number: int) -> str:
    """The name of what is said of a shard."""
    return f"shard-{number:06d}.json"


def shard_number(name: str) -> int | None:
    """The number of the shard whose tar or facts have this name; None for any other name."""
    matched = _SHARD.fullmatch(name)
    return int(matched[1]) if matched and name in (tar_name(int(matched[1])), facts_name(int(matched[1]))) else None


def is_ours(name: str) -> bool:
    """Whether a file of this name is one of a folder of shards."""
    return name in (MANIFEST, INDEX, STATISTICS) or shard_number(name) is not None


def key_of(index: int) -> str:
    """What the members of a sample begin with."""
    return f"{index:09d}"


def compact(value: Any) -> bytes:
    """JSON whose bytes depend on the value alone: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def readable(value: Any) -> bytes:
    """JSON for people, whose bytes depend on the value alone."""
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def digest_of(digests: Mapping[str, str]) -> str:
    """One sha256 for the files with these digests: of the lines "sha256  name", sorted by name."""
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def split_of(seed: int, index: int, shares: Sequence[float] = SHARES) -> str:
    """train, val or test: where a number in [0, 1), made of sha256("SEED:INDEX"), lies in the shares. It depends on nothing else, so that a
    sample stays where it is when a run grows."""
    place = int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big") / 2**64
    reached = 0.0
    for name, share in zip(SPLITS, shares, strict=True):
        reached += share
        if place < reached:
            return name
    return next(n for n, share in reversed(list(zip(SPLITS, shares, strict=True))) if share > 0)  # the sum was rounded


def read_shares(text: str) -> tuple[float, ...]:
    """`.9,.05,.05` as shares of train, val and test. Raises UsageError."""
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != len(SPLITS) or not all(0 <= s <= 1 for s in shares) or abs(sum(shares) - 1) > 1e-6:
        raise UsageError(
            f'<<split>> takes the shares of {", ".join(SPLITS)}, which add up to 1 (<<split=".9,.05,.05">>), got {text[:60]!r}.'
        )
    return shares


def listed_sets(counts: Mapping[tuple[str, ...], int]) -> list[dict[str, Any]]:
    """Label sets with how often each occurs, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"labels": list(names), "count": count} for names, count in ordered]
