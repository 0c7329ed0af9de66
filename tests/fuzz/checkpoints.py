"""Checkpoint files: pickles that would run code, claim what is not there, or are damaged; in torch's archives and around them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from . import odd_files, pickles, trees, weights
from .place import Place

ENDINGS = (".pth", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".safetensors", ".tar", "", ".pth.tar")


def prepare(folder: Path) -> Callable[[Place], None]:
    """Good checkpoints of a tiny face parser, as torch writes them today and as it did before 1.6."""
    import torch
    from official_files import parser_state
    from safetensors.torch import save_file

    state = parser_state()
    good: dict[str, bytes] = {}
    for name, options in (("torch", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        stream = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, stream, **options)
        good[name] = stream.getvalue()
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "it.safetensors")
    good["safetensors"] = (folder / "it.safetensors").read_bytes()
    return lambda place: case(place, good)


def case(place: Place, good: dict[str, bytes]) -> None:
    """One file, identified and converted."""
    rng = place.rng
    how = rng.random()
    path = place.work / f"net{rng.choice(ENDINGS)}"
    if how < 0.6:
        content = hostile(place)
    elif how < 0.9:
        name = rng.choice(list(good))
        content, told = weights.mutate(rng, good[name]) if name == "safetensors" else trees.damage(rng, good[name])
        place.did(f"{name}: {told}")
    else:
        _shards(place, good["safetensors"])
        return
    path.write_bytes(content)
    if rng.random() < 0.03:
        _replace(place, path)
    _try(place, path)


def hostile(place: Place) -> bytes:
    """A pickle by opcodes: tensors, and among them a payload, a lie, or too much."""
    rng, entries = place.rng, {}
    storages = {str(i): b"\0" * 64 for i in range(3)}
    what = rng.choice(["payload", "payload", "payload", "lie", "large", "deep", "stream", "fine"])
    for key in storages:
        entries[f"layer{key}.weight"], told = pickles.tensor(rng, key, (4, 4), lie=what == "lie" and key == "1")
        if what == "lie" and key == "1":
            place.did(f"a tensor lies: {told}")
    if what == "payload":
        code, told = pickles.payload(rng, place.mark)
        entries[rng.choice(["a", "layer9.weight", "\x1b[2J"])] = code
        place.did(told)
    elif what == "large":
        code, told = pickles.large(rng)
        entries["a"] = code
        place.did(told)
    elif what == "deep":
        levels = rng.choice([50, 5000, 200_000])
        entries["a"] = b"]" * levels + b"a" * (levels - 1)
        place.did(f"{levels} lists in each other")
    content = pickles.dictionary(entries)
    if what == "stream":
        content, told = _stream(rng, content)
        place.did(told)
    form = rng.choice(["archive", "archive", "odd archive", "odd archive", "legacy", "legacy", "bare"])
    place.did(form)
    if form == "legacy":
        return pickles.legacy(content, storages)
    if form == "bare":
        return content
    packed, told = pickles.archive(rng, content, storages, odd=form == "odd archive")
    place.did(told)
    return packed


def _stream(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Faults of the stream itself."""
    how = rng.choice(["memo", "extension", "frame", "many", "no stop", "long text", "persistent", "bytes"])
    changed = {
        "memo": content[:3] + b"h\xff" + content[3:],
        "extension": content[:-1] + b"\x82\x01" + b".",
        "frame": b"\x80\x04\x95" + b"\xff" * 8 + content[2:],
        "many": content + b"N." * 100_000,
        "no stop": content[:-1],
        "long text": b"\x80\x02X\xff\xff\xff\x7f" + content[2:],
        "persistent": content[:-1] + b"0Pnothing\n.",
        "bytes": b"\x80\x05\x8e" + b"\xff\xff\xff\xff\xff\0\0\0" + content[2:],
    }
    return changed[how], f"stream: {how}"


def _shards(place: Place, content: bytes) -> None:
    """An index of safetensors in several files whose names, numbers or files lie."""
    rng = place.rng
    folder = place.work / "shards"
    folder.mkdir()
    header, _ = weights.split(content)
    names = [n for n in header if n != "__metadata__"]
    tree: Any = {
        "metadata": {"total_size": len(content)},
        "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors"),
    }
    tree, told = trees.mutate(rng, tree)
    if (
        isinstance(tree, dict)
        and isinstance(tree.get("weight_map"), dict)
        and tree["weight_map"]
        and rng.random() < 0.4
    ):
        out = rng.choice(["../../guarded/model.safetensors", str(place.guarded / "model.safetensors"), *trees.NAMES])
        tree["weight_map"][rng.choice(list(tree["weight_map"]))] = out
        told += f" and a file {trees.short(out)}"
    text, fault = trees.text_of(rng, tree)
    (folder / "model.safetensors.index.json").write_bytes(text)
    (folder / "model-00001-of-00001.safetensors").write_bytes(content)
    place.did(f"index: {told} {fault}".rstrip())
    if rng.random() < 0.3:
        _replace(place, odd_files.some(rng, folder))
    _try(place, rng.choice([folder, folder / "model.safetensors.index.json"]))


def _replace(place: Place, path: Path) -> None:
    """A link in the place of a checkpoint is the user's own way, as in the cache of the Hub; names in an index stay guarded."""
    place.did(odd_files.replace(place.rng, path, place.guarded))
    place.guards_reads = False


def _try(place: Place, path: Path) -> None:
    place.zoo("identify", path, *place.rng.choice([(), ("--json",)]))
    out = place.work / "out"
    ran = place.zoo(
        "convert", path, "--out", out, *place.rng.choice([(), ("--as", "face-parser"), ("--dataset", "celeba")])
    )
    if not ran.taken and out.exists():
        place.outcome.add("silent", "refused, and a folder was left")
    if ran.taken:
        import torch

        import zoo

        finite = all(
            bool(torch.isfinite(t).all()) for t in zoo.load(out).state_dict().values() if t.is_floating_point()
        )
        if not finite:
            place.outcome.add("silent", "converted numbers that are not finite")
        json.loads((out / "config.json").read_text())
