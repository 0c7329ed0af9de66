"""Model folders: configs, cards, weights and assets changed, with and without a card that vouches for the changed files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import odd_files, trees, weights
from .guard import files_of
from .place import Place

MODELS = ("mask-vae", "scgan", "face-parser")
HUGE = (0, -1, 2, 3, 5, 1000, 4096, 65_536, 10**7, 2**31, 2**40, 2**63)


def prepare(folder: Path) -> Callable[[Place], None]:
    """The three tiny models, a map and a photo."""
    import fixtures_models
    import numpy as np
    import PIL.Image

    import zoo

    fixtures_models.build(folder)
    drawn = fixtures_models.drawn_face()
    zoo.SemanticMap(drawn, zoo.label_space("celebamask-hq")).to_png(folder / "face.png")
    photo = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    PIL.Image.fromarray(photo).save(folder / "photo.png")
    return lambda place: case(place, folder)


def case(place: Place, shared: Path) -> None:
    """A folder with one or two changes, asked for by three commands."""
    rng = place.rng
    name = rng.choice(MODELS)
    folder = place.work / rng.choice(["model", "model", "a+b", "x#1", "-m", "$x", "é"])
    shutil.copytree(shared / f"{name}-celeba", folder)
    before = files_of(folder, ("README.md",))
    place.did(name)
    unsound = [change(place, folder)]
    if rng.random() < 0.25:
        try:
            unsound.append(change(place, folder))
        except Exception:  # the first left nothing that can be read; the case is the first change alone
            place.did("no second change")
    card = rng.choice(["stale", "stale", "fresh", "fresh", "fresh", "none", "partial"])
    place.did(f"card {card}")
    recard(place, folder, card)
    try_model(place, folder, name, shared, not_finite="not finite" in unsound, before=before)


def change(place: Place, folder: Path) -> str:
    """One change of a folder; "not finite" where it put such numbers in."""
    rng = place.rng
    how = rng.random()
    if how < 0.27:
        place.did(_config(place, folder))
    elif how < 0.42:
        place.did(_card(place, folder))
    elif how < 0.62:
        path = rng.choice(sorted(folder.rglob("*.safetensors")) or [folder / "model.safetensors"])
        if path.is_file():
            content, told = weights.mutate(rng, path.read_bytes())
            path.write_bytes(content)
            place.did(f"{path.name}: {told}")
    elif how < 0.72:
        path = rng.choice(sorted(folder.rglob("*.safetensors")) or [folder / "model.safetensors"])
        if path.is_file() and path.stat().st_size > 1000:
            content, told = weights.poison(rng, path.read_bytes())
            path.write_bytes(content)
            place.did(f"{path.name}: {told}")
            return "" if told.startswith("nothing") else "not finite"
    elif how < 0.84:
        jsons = sorted((folder / "assets").glob("*.json")) if (folder / "assets").is_dir() else []
        if jsons and jsons[0].is_file():
            _asset(place, rng.choice(jsons))
        else:
            place.did(_config(place, folder))
    else:
        place.did(odd_files.replace(rng, odd_files.some(rng, folder), place.guarded))
    return ""


def _config(place: Place, folder: Path) -> str:
    path, rng = folder / "config.json", place.rng
    if not path.is_file():
        return "no config to change"
    try:
        tree = json.loads(path.read_bytes())
    except ValueError:
        return "config is damaged already"
    inner = tree.get("config") if isinstance(tree, dict) else None
    if isinstance(inner, dict) and inner and rng.random() < 0.5:
        key = rng.choice(sorted(inner))
        inner[key] = new = rng.choice(HUGE)
        told = f"config/{key} became {new}"
    else:
        tree, told = trees.mutate(rng, tree)
    content, fault = trees.text_of(rng, tree)
    path.write_bytes(content)
    return f"config.json: {told} {fault}".rstrip()


def _asset(place: Place, path: Path) -> None:
    tree, told = trees.mutate(place.rng, json.loads(path.read_bytes()))
    content, fault = trees.text_of(place.rng, tree)
    path.write_bytes(content)
    place.did(f"{path.name}: {told} {fault}".rstrip())


def _card(place: Place, folder: Path) -> str:
    """The front matter changed as a tree, or the text as bytes."""
    import yaml

    path, rng = folder / "README.md", place.rng
    if not path.is_file():
        return "no card to change"
    text = path.read_text()
    if rng.random() < 0.2:
        content, told = trees.damage(rng, path.read_bytes())
        path.write_bytes(content)
        return f"README.md: {told}"
    head, _, body = text.removeprefix("---\n").partition("---\n")
    tree, told = trees.mutate(rng, yaml.safe_load(head))
    odd = rng.choice(
        [
            "",
            "",
            "",
            "",
            "a: &a [1]\nb: *a\n",
            "!!python/name:os.system x: 1\n",
            "? [1]\n: 2\n",
            "? {a: b}\n: 2\n",
            "d: 2026-13-41\n",
            "\t: x\n",
        ]
    )
    path.write_text(
        f"---\n{json.dumps(tree) if not isinstance(tree, dict) else yaml.safe_dump(tree)}{odd}\n---\n{body}",
        errors="replace",
    )
    return f"README.md: {told} {odd.strip()}".rstrip()


def recard(place: Place, folder: Path, card: str) -> None:
    """Make the card's digests those of the present files ("fresh"), of some of them ("partial"), or take the card away."""
    import yaml

    path = folder / "README.md"
    if path.is_symlink() or not path.is_file() or card == "stale":
        return
    if card == "none":
        path.unlink()
        return
    try:
        head, _, body = path.read_text().removeprefix("---\n").partition("---\n")
        tree = yaml.safe_load(head)
        tree["zoo"]["files"] = files = _listed(folder)
    except (ValueError, TypeError, KeyError, yaml.YAMLError, AttributeError, OSError):
        return
    if card == "partial" and files:
        left = files.pop(place.rng.choice(sorted(files)))
        del left
    path.write_text(f"---\n{yaml.safe_dump(tree)}---\n{body}", errors="replace")


def _listed(folder: Path) -> dict[str, str]:
    import hashlib

    return {
        n: hashlib.sha256(c).hexdigest()
        for n, c in files_of(folder).items()
        if n != "README.md" and not (folder / n).is_symlink() and n.endswith((".json", ".safetensors"))
    }


def _stated(folder: Path) -> dict[str, str]:
    """The digests that the card lists, read by plain means; empty where nothing readable is there."""
    import yaml

    try:
        head, closed, _ = (folder / "README.md").read_text().removeprefix("---\n").partition("\n---\n")
        if not closed:
            return {}
        files = yaml.safe_load(head)["zoo"]["files"]
        return {str(k): str(v) for k, v in files.items()}
    except Exception:
        return {}


def try_model(
    place: Place, folder: Path, name: str, shared: Path, *, not_finite: bool, before: dict[str, bytes]
) -> None:
    """verify, card, a command that uses it; loading in Python judged against the card."""
    import zoo

    rng = place.rng
    with place.python("load") as refused:
        model = zoo.load(folder)
    if refused:
        place.outcome.verdict = "refused"
    else:
        _judge_loaded(place, folder, model, not_finite, before)
    place.zoo("verify", folder) if rng.random() < 0.3 else place.zoo("card", folder, *rng.choice([(), ("--json",)]))
    out, data = place.work / "out", ("--data", "toy-faces:4", "--device", "cpu")
    common = ("--seed", 0, "--out", out, "--device", "cpu")
    how = rng.random()
    if how < 0.1:
        place.zoo("pull", folder, "--to", out)
    elif how < 0.2 and name == "mask-vae":
        place.zoo("fit", folder, "label_sets", *data, "--out", out)
    elif how < 0.25:
        # the user's own file by name, wherever a link of that name leads
        place.zoo("convert", folder / "model.safetensors", "--out", out, watch=place.watch(reads=False))
    elif how < 0.3:
        place.zoo("identify", folder / "model.safetensors", watch=place.watch(reads=False))
    elif how < 0.35:
        place.zoo("train", name, *data, "--init", folder, "--out", out, "--dry-run")
    elif name == "mask-vae":
        ran = place.zoo("generate", folder, *common)
        _judge_run(place, ran.taken, out, refused)
    elif name == "scgan":
        ran = place.zoo("synth", folder, shared / "face.png", "--trust-maps", *common)
        _judge_run(place, ran.taken, out, refused)
    else:
        place.zoo("parse", shared / "photo.png", "--parser", folder, "--out", out, "--device", "cpu")


def _judge_run(place: Place, taken: bool, out: Path, refused: list[BaseException]) -> None:
    if taken and refused:
        place.outcome.add("silent", "a command used a folder that Python refuses")
    if (
        not taken
        and (out / "manifest.json").exists()
        and json.loads((out / "manifest.json").read_text()).get("finished")
    ):
        place.outcome.add("silent", "refused, and a finished run was left")


def _judge_loaded(place: Place, folder: Path, model: Any, not_finite: bool, before: dict[str, bytes]) -> None:
    """A folder that loads agrees with its card and holds finite numbers only."""
    import hashlib

    import torch

    stated, home = _stated(folder), folder.resolve()

    def lies_there(name: str) -> bool:
        """Through links of folders too, as long as they stay in the folder."""
        return (folder / name).is_file() and (folder / name).resolve().is_relative_to(home)

    for file, digest in stated.items():
        if not lies_there(file) or hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            place.outcome.add("silent", "loaded against the digests of its card")
    loaded = [n for n in before if lies_there(n)]
    if stated and any(n not in stated for n in loaded):
        place.outcome.add("silent", "loaded files that the card does not list")
    tensors = [
        *model.state_dict().values(),
        *(t for a in model.assets.values() if isinstance(a, dict) for t in a.values()),
    ]
    finite = all(
        bool(torch.isfinite(t).all()) for t in tensors if isinstance(t, torch.Tensor) and t.is_floating_point()
    )
    if not finite:
        place.outcome.add("silent", f"loaded numbers that are not finite{'' if not_finite else ' (of damage)'}")
