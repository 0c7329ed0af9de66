"""Small folders of shards, written as docs/shards.md says, without the models that make large ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from zoo.files.shardfiles import (
    FORMAT,
    INDEX,
    MANIFEST,
    SHARES,
    SPLITS,
    STATISTICS,
    digest_of,
    facts_name,
    key_of,
    split_of,
    tar_name,
)
from zoo.registry import label_space


def face(index: int, side: int = 32, space: str = "celebamask-hq") -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise and a map of rectangles, from the number alone."""
    rng = np.random.default_rng(index)
    labels = np.zeros((side, side), np.uint8)
    for value in rng.permutation(len(label_space(space)))[:5]:
        top, left = rng.integers(0, side - 8, 2)
        labels[top : top + 8, left : left + 8] = value
    return rng.integers(0, 255, (side, side, 3), dtype=np.uint8), labels


def write_shards(
    root: Path,
    samples: int = 20,
    per_shard: int = 8,
    *,
    images: bool = True,
    side: int = 32,
    shares: tuple[float, ...] = SHARES,
) -> Path:
    """A folder of `samples` faces."""
    root.mkdir(parents=True, exist_ok=True)
    kind = "pairs" if images else "maps"
    manifest = {"format": FORMAT, "kind": kind, "label_space": "celebamask-hq", "samples": samples}
    manifest |= {"split": dict(zip(SPLITS, shares, strict=True))}
    manifest |= {
        "per_shard": per_shard,
        "models": {},
        "request": {"seed": 0},
        "map_format": "gray",
        "image_format": "png",
    }
    (root / MANIFEST).write_text(json.dumps(manifest))
    for number in range(-(-samples // per_shard)):
        write_shard(
            root, number, range(number * per_shard, min(samples, (number + 1) * per_shard)), images, side, shares
        )
    return root


def write_shard(
    root: Path, number: int, samples: range, images: bool = True, side: int = 32, shares: tuple[float, ...] = SHARES
) -> None:
    """One tar and what is said of it."""
    space = label_space("celebamask-hq")
    classes = {name: {"maps": 0, "pixels": 0} for name in space.names}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for index in samples:
            picture, labels = face(index, side)
            if images:
                add(tar, f"{key_of(index)}.image.png", png(picture))
            add(tar, f"{key_of(index)}.map.png", png(labels))
            add(tar, f"{key_of(index)}.json", json.dumps(record(index, labels, shares), sort_keys=True).encode())
            for value, pixels in zip(*np.unique(labels, return_counts=True), strict=True):
                classes[space.names[value]]["maps"] += 1
                classes[space.names[value]]["pixels"] += int(pixels)
    content = buffer.getvalue()
    (root / tar_name(number)).write_bytes(content)
    told: dict[str, Any] = {"shard": number, "start": samples.start, "stop": samples.stop, "samples": len(samples)}
    told |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    told |= {"classes": classes, "hashes": ["0" * 16] * len(samples)}
    (root / facts_name(number)).write_text(json.dumps(told))


def record(index: int, labels: np.ndarray, shares: tuple[float, ...] = SHARES) -> dict[str, Any]:
    """What a shard says of a sample."""
    names = label_space("celebamask-hq").names
    shown = [names[value] for value in np.unique(labels)]
    split = split_of(0, index, shares)
    return {"index": index, "seed": 0, "labels": shown, "label_space": "celebamask-hq", "split": split}


def png(array: np.ndarray) -> bytes:
    """An array as a PNG."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def write_index(root: Path) -> None:
    """What stands beside shards that are all there."""
    facts = [json.loads(p.read_text()) for p in sorted(root.glob("shard-*.json"))]
    rows = [{"name": tar_name(f["shard"]), "sha256": f["sha256"], "samples": f["samples"]} for f in facts]
    digest = digest_of({row["name"]: row["sha256"] for row in rows})
    (root / INDEX).write_text(json.dumps({"format": FORMAT, "shards": rows, "digest": digest}))
    (root / STATISTICS).write_text("{}")
