"""Broken plugins: a scaffolded one with a fault, installed as pip leaves it, and 23 commands beside and through it."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import forks
from .guard import files_of
from .place import Place, Ran, call
from .plugin_faults import break_plugin

NAMES = ("odd-masks", "odd-pics")
EXACT = ("generate tiny", "synth tiny", "parse", "photo", "convert tiny", "mask inspect", "verify tiny")
"""Commands that have nothing to do with the plugin: their files and their stdout must be those of an installation without it."""
WELL = (*EXACT, "list", "list --json", "labels", "plugins", "plugins --json", "identify tiny", "train tiny")
"""Commands that must end well beside any plugin."""
OWN = ("generate own", "synth own", "compose own")


def prepare(folder: Path) -> Callable[[Place], None]:
    """Tiny models, the two scaffolded plugins, and what the bystanders give without any plugin."""
    import fixtures_models
    import numpy as np
    import PIL.Image
    import torch
    from official_files import parser_state
    from thirdparty import write_metadata

    import zoo

    fixtures_models.build(folder / "models")
    zoo.SemanticMap(fixtures_models.drawn_face(), zoo.label_space("celebamask-hq")).to_png(folder / "face.png")
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)).save(folder / "photo.png")
    torch.save(parser_state(), folder / "theirs.pth")
    for name, kind in zip(NAMES, ("mask-generator", "image-synthesizer"), strict=True):
        ran, surprise = call(["new-plugin", name, "--kind", kind, "--to", str(folder / "new")])
        assert ran.taken and not surprise, f"{ran} {surprise}"
        site = folder / "sites" / name
        shutil.copytree(folder / "new" / name / name.replace("-", "_"), site / name.replace("-", "_"))
        write_metadata(site, name, name.replace("-", "_"))
    expected: dict[str, Any] = {}
    return lambda place: case(place, folder, expected)


def case(place: Place, shared: Path, expected: dict[str, Any]) -> None:
    """One broken plugin, all commands."""
    rng = place.rng
    name = rng.choice(NAMES)
    site = place.work / "site"
    if not expected:
        asked = commands(shared, place.work / "none", name)
        # in this process, not in a child: what the commands import is there for all children
        expected.update({label: _expected(asked[label]) for label in WELL})
        shutil.rmtree(place.work / "none", ignore_errors=True)
        bad = {label: told for label, told in expected.items() if told["code"]}
        assert not bad, f"the bystanders do not work without a plugin: {bad}"
    shutil.copytree(shared / "sites" / name, site)
    told, must_not_pass = break_plugin(rng, site, name)
    place.did(f"{name}: {told}")
    asked = commands(shared, place.work / "out", name)
    place.outcome.tried = len(asked)
    refused = 0
    for label, arguments in asked.items():
        got = _run(place, label, arguments, site)
        refused += got["code"] != 0
        _compare(place, label, got, expected.get(label, {}), must_not_pass)
    place.outcome.verdict = "refused" if refused else "right"


def commands(shared: Path, out: Path, name: str) -> dict[str, tuple[Any, ...]]:
    """The 23 commands by label; each writes below `out`."""
    masks, pics = (shared / "models" / f"{n}-celeba" for n in ("mask-vae", "scgan"))
    face, photo, theirs = shared / "face.png", shared / "photo.png", shared / "theirs.pth"
    cpu, seed = ("--device", "cpu"), ("--seed", 1, "--device", "cpu")
    own = ("generate", name, "-n", 1, *seed) if name == "odd-masks" else ("synth", name, face, *seed)
    joined = f"{name}+{pics}" if name == "odd-masks" else f"{masks}+{name}"
    made: dict[str, tuple[Any, ...]] = {
        "list": ("list",),
        "list --json": ("list", "--json"),
        "list own": ("list", "odd*"),
        "card own": ("card", f"{name}-toy"),
        "card own --json": ("card", name, "--json"),
        "labels": ("labels",),
        "labels own": ("labels", "odd"),
        "plugins": ("plugins",),
        "plugins --json": ("plugins", "--json"),
        "doctor": ("doctor",),
        f"{own[0]} own": (*own, "--out", out / "own"),
        "compose own": ("compose", joined, *seed, "--out", out / "joined"),
        "verify own": ("verify", f"{name}-toy"),
        "verify tiny": ("verify", masks),
        "generate tiny": ("generate", masks, "-n", 2, *seed, "--out", out / "maps"),
        "synth tiny": ("synth", pics, face, *seed, "--out", out / "pictures"),
        "parse": ("parse", photo, "--out", out / "parsed", *cpu),
        "photo": ("compose", f"{masks}+{pics}", "--photo", photo, *seed, "--out", out / "photo"),
        "identify tiny": ("identify", theirs),
        "convert tiny": ("convert", theirs, "--as", "face-parser", "--out", out / "converted"),
        "train own": (
            "train",
            name,
            "--data",
            "toy-faces:4",
            "--set",
            "steps=1",
            "--set",
            "batch_size=2",
            *cpu,
            "--out",
            out / "run",
        ),
        "train tiny": ("train", "mask-vae/celeba-128", "--data", "toy-faces:4", "--dry-run", *cpu),
        "mask inspect": ("mask", "inspect", face, "--space", "celebamask-hq"),
    }
    assert len(made) == 23
    return made


def _expected(arguments: tuple[Any, ...]) -> dict[str, Any]:
    """What a command gives without any plugin."""
    ran, surprise = call([str(a) for a in arguments])
    assert not surprise, surprise
    return _left(arguments, ran)


def _left(arguments: tuple[Any, ...], ran: Ran | None) -> dict[str, Any]:
    """Exit code, stdout, stderr and the files that were written, with the name of the output folder taken out."""
    out = next((Path(arguments[i + 1]) for i, a in enumerate(arguments) if a == "--out"), None)
    files = files_of(out, ("README.md", "manifest.json")) if out is not None and out.is_dir() else {}
    text = ran.out if ran else ""
    return {
        "code": ran.code if ran else -1,
        "out": text.replace(str(out.parent), "OUT") if out is not None else text,
        "err": ran.err if ran else "",
        "files": files,
    }


def _run(place: Place, label: str, arguments: tuple[Any, ...], site: Path) -> dict[str, Any]:
    """One command in a child, beside the plugins of `site`."""

    def install() -> None:
        from zoo import cards
        from zoo.registry import lookup

        sys.path.insert(0, str(site))
        importlib.invalidate_caches()
        cards.all_cards.cache_clear()
        lookup.reset()

    ended = forks.command(place, *arguments, before=install, wall=60)
    forks.judge(place, label, ended)
    return _left(arguments, ended.ran)


def _compare(place: Place, label: str, got: dict[str, Any], expected: dict[str, Any], must_not_pass: bool) -> None:
    if label in WELL and got["code"] != 0 and got["code"] != -1:
        place.outcome.add("lost", f"{label} does not work beside the plugin")
    elif label in EXACT and got["code"] == 0 and (got["files"] != expected["files"] or got["out"] != expected["out"]):
        place.outcome.add("silent", f"{label} gives something else beside the plugin")
    if label.endswith("--json") and got["code"] == 0:
        try:
            json.loads(got["out"])
        except ValueError:
            place.outcome.add("garbled", f"{label}: stdout is no JSON")
    if label in OWN and must_not_pass and got["code"] == 0:
        place.outcome.add("silent", f"{label} took a wrong result of the plugin")
