"""Bad input, as a stranger produces it: one clear error on stderr, the right exit code, and nothing left on the disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fixtures_models import Ran

Run = Callable[..., Ran]
PAIR = ("compose", "GEN+SYN")
# case: arguments (words in capitals are replaced, see `world`), exit code, what the error must say
CASES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "missing map": ((*PAIR, "--mask", "face.pgn"), 2, ("There is no", "face.pgn", "'face.png'")),
    "missing photo": ((*PAIR, "--photo", "nowhere/me.jpg"), 2, ("nowhere/me.jpg", "nor a folder nowhere")),
    "missing style photo": ((*PAIR, "--style", "me.jpg"), 2, ("There is no", "me.jpg")),
    "missing style map": ((*PAIR, "--style", "photo.png::no.png"), 2, ("There is no", "no.png")),
    "missing style file": ((*PAIR, "--style", "no.safetensors"), 2, ("There is no", "no.safetensors")),
    "missing other map": (
        (*PAIR, "--mask", "face.png", "--edit", "interpolate:hair=no.png"),
        2,
        ("There is no", "no.png"),
    ),
    "missing map to inspect": (("mask", "inspect", "no.png"), 2, ("There is no", "no.png")),
    "missing photo to parse": (("parse", "no.png", "--out", "OUT", "--parser", "PARSER"), 2, ("There is no", "no.png")),
    "missing manifest": (("replay", "no.json"), 2, ("no manifest no.json",)),
    "missing model": (("generate", "./nomodel"), 1, ("no model folder nomodel",)),
    "unknown model": (("generate", "nomodel"), 2, ("No model 'nomodel'", "zoo list")),
    "folder for a map": ((*PAIR, "--mask", "empty"), 2, ("empty", "no *.png")),
    "folder for a photo": ((*PAIR, "--photo", "empty"), 2, ("empty is a folder",)),
    "folder for a map to inspect": (("mask", "inspect", "empty"), 2, ("empty is a folder",)),
    "folder for another map": (
        (*PAIR, "--mask", "face.png", "--edit", "interpolate:hair=empty"),
        2,
        ("empty is a folder",),
    ),
    "truncated map": ((*PAIR, "--mask", "cut.png"), 1, ("cut.png", "damaged or cut off")),
    "truncated map among good ones": (
        (*PAIR, "--mask", "face.png", "--mask", "cut.png", "--batch-size", "1"),
        1,
        ("cut.png", "damaged"),
    ),
    "truncated photo": ((*PAIR, "--photo", "cut.png", "--parser", "PARSER"), 1, ("cut.png", "damaged or cut off")),
    "truncated photo to parse": (
        ("parse", "photo.png", "cut.png", "--out", "OUT", "--parser", "PARSER"),
        1,
        ("cut.png", "damaged"),
    ),
    "truncated style": ((*PAIR, "--style", "cut.safetensors"), 1, ("cut.safetensors", "not a style file")),
    "weights as a style": ((*PAIR, "--style", "weights.safetensors"), 1, ("weights.safetensors", "not a style file")),
    "text as a map": ((*PAIR, "--mask", "text.png"), 1, ("text.png", "not a picture")),
    "truncated weights": (("generate", "./cut-model"), 1, ("model.safetensors", "damaged")),
    "changed weights": (("generate", "./changed-model"), 1, ("does not match its card",)),
    "weights of another architecture": (
        ("generate", "./foreign-model"),
        1,
        ("does not fit", "missing: ", "another architecture"),
    ),
    "config with an unknown field": (
        ("generate", "./unknown-field"),
        1,
        ("unknown field 'latnt'", "did you mean 'latent'"),
    ),
    "config without a field": (("generate", "./missing-field"), 1, ("missing field 'groups'",)),
    "config of an ill type": (("generate", "./ill-field"), 1, ("field 'latent'", "'many'")),
    "config file without a field": (("generate", "./no-channels"), 1, ("missing field 'channels'",)),
    "config that is no JSON": (("generate", "./no-json"), 1, ("not readable JSON",)),
    "architecture that is not known": (("generate", "./unknown-arch"), 2, ("No architecture 'mask-vea'", "'mask-vae'")),
    "folder that is no model": (("generate", "./empty"), 1, ("no config.json",)),
    "synthesizer as a generator": (("compose", "SYN+GEN"), 2, ("is an image-synthesizer", "generator comes first")),
    "generator as a parser": (
        ("parse", "photo.png", "--parser", "GEN", "--out", "OUT"),
        2,
        ("is a mask-generator, and a mask-parser",),
    ),
    "wrong label space": ((*PAIR, "--mask", "streets.png"), 1, ("Values found", "30: ", "0..18", "--mask-space")),
    "binary mask": ((*PAIR, "--mask", "binary.png"), 1, ("0/255", "binary mask of one part")),
    "unknown label space": ((*PAIR, "--mask", "face.png", "--mask-space", "face-parsin"), 2, ("'face-parsing'",)),
    "label space with nothing in common": (
        (*PAIR, "--mask", "face.png", "--mask-space", "streets.json", "--trust-maps"),
        1,
        ("no class in common",),
    ),
    "unknown label": ((*PAIR, "--labels", "skin,noze"), 2, ("'noze'", "did you mean 'nose'", "zoo labels")),
    "unknown edited label": ((*PAIR, "--mask", "face.png", "--edit", "redraw:hiar"), 2, ("'hiar'", "'hair'")),
    "unknown kept label": ((*PAIR, "--photo", "photo.png", "--keep", "skn"), 2, ("'skn'", "'skin'")),
    "unknown styled label": ((*PAIR, "--style", "hare=prior"), 2, ("'hare'", "'hair'")),
    "label that no map shows": (
        (*PAIR, "--mask", "face.png", "--edit", "redraw:hat"),
        2,
        ("no map shows hat", "add:hat"),
    ),
    "empty label set": ((*PAIR, "--labels", ""), 2, ("label set is empty",)),
    "label set of commas": (("generate", "GEN", "--labels", " , "), 2, ("label set is empty",)),
    "n = 0": ((*PAIR, "-n", "0"), 2, ("-n must be at least 1, got 0",)),
    "n = many": ((*PAIR, "-n", "many"), 2, ("'many'",)),
    "negative seed": ((*PAIR, "--seed", "-1"), 2, ("--seed must be 0 or more, got -1",)),
    "negative style seed": ((*PAIR, "--style", "seed:-1"), 2, ("whole number",)),
    "batch of 0": ((*PAIR, "--batch-size", "0"), 2, ("--batch-size must be at least 1",)),
    "output below a file": ((*PAIR, "--out", "face.png/out"), 1, ("Cannot make the folder", "face.png is a file")),
    "output that cannot be made": ((*PAIR, "--out", "/proc/nowhere"), 1, ("Cannot write /proc/nowhere",)),
    "output that is a file": ((*PAIR, "--out", "face.png"), 2, ("face.png is a file",)),
    "parsed below a file": (
        ("parse", "photo.png", "--out", "face.png/out", "--parser", "PARSER"),
        1,
        ("Cannot write face.png/out",),
    ),
    "non-empty output": ((*PAIR, "--out", "full"), 2, ("full is not empty", "choose another --out")),
    "non-empty output of the user's": (
        (*PAIR, "--out", "full", "--overwrite"),
        2,
        ("full is not empty", "runs of the zoo only"),
    ),
    "unknown device": ((*PAIR, "--device", "tpu"), 2, ("tpu",)),
    "edit without a map": ((*PAIR, "--edit", "redraw:hair"), 2, ("--edit needs a map",)),
    "half a composition": (("compose", "GEN"), 2, ("GENERATOR+SYNTHESIZER",)),
}


def damaged_models(root: Path, models: Path) -> None:
    """Copies of the generator's folder, each with one thing wrong."""

    def copy(name: str, *, card: bool = False) -> Path:
        folder = shutil.copytree(models / "mask-vae-celeba", root / name)
        if not card:
            (folder / "README.md").unlink()  # else its digests are the first to complain
        return folder

    def config(name: str, change: Callable[[dict], object]) -> None:
        path = copy(name) / "config.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    weights = (models / "mask-vae-celeba/model.safetensors").read_bytes()
    (copy("cut-model") / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    (copy("changed-model", card=True) / "model.safetensors").write_bytes(weights[:-4] + b"abcd")
    shutil.copy(models / "scgan-celeba/model.safetensors", copy("foreign-model") / "model.safetensors")
    config("unknown-field", lambda v: v["config"].update(latnt=3))
    config("missing-field", lambda v: v["config"].pop("groups"))
    config("ill-field", lambda v: v["config"].update(latent="many"))
    config("no-channels", lambda v: v.pop("channels"))
    config("unknown-arch", lambda v: v.update(architecture="mask-vea"))
    (copy("no-json") / "config.json").write_text("{")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, model_root: Path, inputs: Path) -> Path:
    """A folder with good and bad files of every kind."""
    root = tmp_path_factory.mktemp("world")
    for name in ("face.png", "photo.png"):
        shutil.copy(inputs / name, root)
    photo = (inputs / "photo.png").read_bytes()
    (root / "cut.png").write_bytes(photo[: len(photo) // 2])
    (root / "text.png").write_text("this is no picture")
    weights = model_root / "scgan-celeba/model.safetensors"
    (root / "cut.safetensors").write_bytes(weights.read_bytes()[:1000])
    shutil.copy(weights, root / "weights.safetensors")
    PIL.Image.fromarray(np.full((8, 8), 30, np.uint8)).save(root / "streets.png")
    PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) // 32 * 255).save(root / "binary.png")
    (root / "streets.json").write_text(
        json.dumps({"name": "streets", "classes": [{"name": f"thing {i}"} for i in range(20)]})
    )
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full/thesis.txt").write_text("mine")
    damaged_models(root, model_root)
    return root


def spelled(arguments: tuple[str, ...], models: Path) -> list[str]:
    """The arguments with the places of the models filled in."""
    words = {
        "GEN": models / "mask-vae-celeba",
        "SYN": models / "scgan-celeba",
        "PARSER": models / "face-parser-celeba",
        "OUT": Path("out"),
    }
    filled = []
    for argument in arguments:
        for word, path in words.items():
            argument = argument.replace(word, str(path))
        filled.append(argument)
    return filled


def listing(root: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(run: Run, world: Path, model_root: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    arguments, code, parts = CASES[case]
    monkeypatch.chdir(world)
    before, folders = listing(world), set(world.rglob("*"))
    made = run(*spelled(arguments, model_root))
    assert made.out == "" and len(re.findall("^Error: ", made.err, re.M)) == 1, made.err
    assert made.code == code, made.err
    assert all(part in made.err for part in parts), made.err
    assert len(made.err.splitlines()) <= 6 and "<tensor" not in made.err and "tensor(" not in made.err
    assert listing(world) == before and set(world.rglob("*")) == folders


def test_arguments_are_checked_before_torch_is_imported(world: Path, model_root: Path) -> None:
    """Every case of wrong usage but those that need a file's content or a loaded model."""
    late = ("label that no map shows", "architecture that is not known", "missing manifest")
    quick = [
        spelled(arguments, model_root) for name, (arguments, code, _) in CASES.items() if code == 2 and name not in late
    ]
    script = f"""
import contextlib, io, sys
from zoo.cli import main
for arguments in {quick!r}:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as left:
            assert left.code == 2, arguments
    assert "torch" not in sys.modules, arguments
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=world,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
