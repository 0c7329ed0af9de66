"""Manifests and run folders that somebody else may have written: replayed, continued, overwritten, read as data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import odd_files, trees
from .guard import contents
from .place import Place

SAMPLES = 3
COUNTS = (0, -1, 1, 2, 4, 100, 10**6, 10**12, 2**63, 10**30, 2.5, "3", None, True)
PATHS = (
    "../guarded/inputs/000000.png", "inputs/../../guarded/precious.txt", "/etc/hostname", "inputs/./../manifest.json", "inputs", "inputs/",
    "", ".", "inputs/a\0b.png", "inputs/" + "x" * 300, "maps/000000.png", "inputs\\x.png", "~/x.png", "/dev/zero", "inputs/\x1b[2J.png",
)  # fmt: skip


def prepare(folder: Path) -> Callable[[Place], None]:
    """Two finished runs of the tiny models: one drawn, one with a map, a photo's style and an edit; and the commands that made them."""
    import fixtures_models
    import numpy as np
    import PIL.Image

    import zoo

    fixtures_models.build(folder / "models")
    pair = f"{folder / 'models/mask-vae-celeba'}+{folder / 'models/scgan-celeba'}"
    zoo.SemanticMap(fixtures_models.drawn_face(), zoo.label_space("celebamask-hq")).to_png(folder / "face.png")
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)).save(folder / "photo.png")
    face = (
        "--mask",
        folder / "face.png",
        "--edit",
        "redraw:hair",
        "--style",
        f"{folder / 'photo.png'}::{folder / 'face.png'}",
    )
    commands = {
        "drawn": ("compose", pair, "-n", SAMPLES, "--seed", 5, "--batch-size", 2, "--device", "cpu"),
        "edited": ("compose", pair, *face, "-n", SAMPLES, "--seed", 5, "--batch-size", 2, "--device", "cpu"),
    }
    from .place import call

    for name, command in commands.items():
        ran, surprise = call([str(a) for a in (*command, "--out", folder / name)])
        assert ran.taken and not surprise, f"{ran} {surprise}"
    return lambda place: case(place, folder, commands)


def case(place: Place, shared: Path, commands: dict[str, tuple[Any, ...]]) -> None:
    """One changed folder and two commands."""
    rng = place.rng
    name = rng.choice(list(commands))
    folder = place.work / "run"
    shutil.copytree(shared / name, folder)
    place.did(name)
    honest = change(place, folder)
    for _ in range(rng.choice([1, 1, 2])):
        _try(place, folder, commands[name], samples(shared / name), honest)


def change(place: Place, folder: Path) -> bool:
    """One change of a run folder. True where the request is untouched, so that continuing must give the same samples."""
    rng = place.rng
    how = rng.random()
    if how < 0.4:
        place.did(_manifest(place, folder / "manifest.json"))
        return False
    if how < 0.65:
        place.did(_metadata(place, folder / "metadata.jsonl"))
        return True
    if how < 0.85:
        place.did(odd_files.replace(rng, odd_files.some(rng, folder), place.guarded))
        return True
    path = rng.choice([p for p in sorted(folder.rglob("*")) if p.is_file()])
    if rng.random() < 0.4:
        other = rng.choice([p for p in sorted(folder.rglob(f"*{path.suffix}")) if p.is_file()])
        shutil.copyfile(other, path) if other != path else path.unlink()
        place.did(f"{path.name} swapped for {other.name}")
    else:
        content, told = trees.damage(rng, path.read_bytes())
        path.write_bytes(content)
        place.did(f"{path.name}: {told}")
    return path.name != "manifest.json"


def _manifest(place: Place, path: Path) -> str:
    rng = place.rng
    tree = json.loads(path.read_text())
    how = rng.random()
    if how < 0.35:
        key = rng.choice(["samples", "threads", "n", "batch_size", "seed", "size"])
        value = rng.choice(COUNTS)
        (tree["request"] if key in tree["request"] else tree)[key] = value
        told = f"{key} became {value}"
    elif how < 0.6:
        spots = [p for p in trees.places(tree["request"]) if str(trees.get(tree["request"], p)).startswith("inputs/")]
        value = rng.choice(PATHS)
        if spots:
            at = rng.choice(spots)
            trees.get(tree["request"], at[:-1])[at[-1]] = value
            told = f"request/{'/'.join(map(str, at))} became {trees.short(value)}"
        else:
            tree["request"]["masks"] = [value]
            told = f"request/masks became {trees.short(value)}"
    else:
        tree, told = trees.mutate(rng, tree, rng.choice([(), ("request",), ("models",)]))
    content, fault = trees.text_of(rng, tree)
    path.write_bytes(content)
    return f"manifest.json: {told} {fault}".rstrip()


def _metadata(place: Place, path: Path) -> str:
    """Lines changed, dropped, doubled, added, swapped."""
    rng, lines = place.rng, path.read_text().splitlines()
    how = rng.choice(["tree", "tree", "drop", "double", "swap", "add", "digest", "index"])
    at = rng.randrange(len(lines))
    told = f"line {at}: {how}"
    if how == "tree":
        tree, told = trees.mutate(rng, json.loads(lines[at]))
        content, fault = trees.text_of(rng, tree)
        lines[at] = content.decode("utf-8", "replace").replace("\n", " ")
        told = f"line {at}: {told} {fault}".rstrip()
    elif how == "drop":
        del lines[at : len(lines) if rng.random() < 0.5 else at + 1]
    elif how == "double":
        lines.insert(at, lines[at])
    elif how == "swap":
        lines[0], lines[at] = lines[at], lines[0]
    elif how == "add":
        more = json.loads(lines[-1])
        lines += [json.dumps({**more, "index": len(lines) + i}) for i in range(rng.choice([1, 3, 2000]))]
    else:
        tree = json.loads(lines[at])
        tree |= (
            {"sha256": {"image": "0" * 64, "map": None}}
            if how == "digest"
            else {"index": rng.choice([-1, 7, 10**9, "0"])}
        )
        lines[at] = json.dumps(tree)
    path.write_text("".join(f"{line}\n" for line in lines), errors="replace")
    return f"metadata.jsonl: {told}"


def samples(folder: Path) -> dict[str, bytes]:
    """The bytes of the samples by name; of links that stay in the folder, what they lead to. Other files there are the user's."""
    return {
        name: content
        for name, content in contents(folder).items()
        if name.startswith(("maps/", "images/")) and name.endswith((".png", ".jpg"))
    }


def _try(place: Place, folder: Path, command: tuple[Any, ...], made: dict[str, bytes], honest: bool) -> None:
    rng = place.rng
    how = rng.choice(
        ["replay", "replay", "replay", "replay out", "continue", "continue", "overwrite", "check", "tar", "card"]
    )
    if how.startswith("replay"):
        now = samples(folder)
        ran = place.zoo(
            "replay",
            rng.choice([folder, folder / "manifest.json"]),
            *(("--out", place.work / "again") if how == "replay out" else ()),
        )
        if ran.taken and now != made:
            place.outcome.add("silent", "replay approved of a folder whose samples are not those that were made")
    elif how in ("continue", "overwrite"):
        ran = place.zoo(*command, "--out", folder, *(("--overwrite",) if how == "overwrite" else ()))
        if ran.taken and (honest or how == "overwrite"):
            now = samples(folder)
            if now != made:
                wrong = [n for n in made if now.get(n) != made[n]]
                place.outcome.add("lost", f"{how} ended well without the right samples ({'some' if wrong else 'more'})")
    elif how == "check":
        ran = place.zoo("data", "check", f"folder:{folder}", watch=place.watch(reads=False))
        now = samples(folder)
        if ran.taken and "nothing wrong" in ran.out and any(n not in now for n in made):
            place.outcome.add("silent", "data check sees nothing wrong, and samples are missing")
    elif how == "tar":
        place.zoo("data", "tar", f"folder:{folder}", place.work / "it.tar", watch=place.watch(reads=False))
    else:
        place.zoo("card", folder)
