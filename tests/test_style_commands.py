"""Styles on the command line: what works, and what is refused with one sentence, before anything is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clvae_tiny import model_of
from fixtures_models import SCGAN, Ran, drawn_face, shake
from PIL import Image

import zoo
from zoo.files.images import save_image
from zoo.interfaces.models import Model
from zoo.maps import SemanticMap

Run = Callable[..., Ran]
SPADE: dict[str, Any] = {
    "resolution": 32,
    "encoder_size": 32,
    "ngf": 4,
    "max_width": 16,
    "spade_hidden": 8,
    "nef": 4,
    "z_dim": 8,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clvae` (styles by class and layer), `plain` (SPADE without any) and `edges` (SPADE on COCO-Stuff with instance edges)."""
    root = tmp_path_factory.mktemp("synthesizers")
    zoo.save(model_of(), root / "clvae")
    plain = zoo.create("spade/celeba-128", **{**SPADE, "use_vae": False})
    edges = zoo.create("spade/coco", **{**SPADE, "encoder_size": 256})
    for seed, (name, model) in enumerate({"plain": plain, "edges": edges}.items()):
        shake(model, 1.0, seed)
        zoo.save(model, root / name)
    return root


@pytest.fixture
def synth(run: Run, models: Path, inputs: Path, tmp_path: Path) -> Run:
    """`zoo synth MODEL face.png …` into `out`."""

    def call(*options: object, model: str | Path = "clvae", mask: Path | str = inputs / "face.png") -> Ran:
        name = model if isinstance(model, Path) else models / model
        return run("synth", name, mask, *options, "--seed", 0, "--out", tmp_path / "out", "--device", "cpu")

    return call


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_one_class_in_a_row(synth: Run, tmp_path: Path) -> None:
    made = synth("--style", "seed:1", "--style", "hair=prior", "-n", 4)
    assert made.code == 0 and "The style of hair changed its pixels by 0." in made.err
    change = manifest(tmp_path / "out")["summary"]["style_change"]
    assert change["classes"] == ["hair"] and change["samples"] == 4 and change["reach"] == 4 and change["inside"] > 0
    with Image.open(tmp_path / "out/grid.png") as grid:
        assert grid.size == (5 * 32, 32)


def test_a_photo_that_lacks_a_class(synth: Run, inputs: Path, tmp_path: Path) -> None:
    bare = drawn_face()
    bare[bare == 2] = 1
    SemanticMap(bare, zoo.label_space("celebamask-hq")).to_png(tmp_path / "bare.png")
    made = synth("--style", f"{inputs / 'photo.png'}::{tmp_path / 'bare.png'}", "-n", 2)
    assert made.code == 0 and "Not in the style's photo or file, taken from the prior: nose in 2" in made.err
    assert manifest(tmp_path / "out")["summary"]["style_from_prior"] == {"nose": 2}


def test_all_together_and_again(run: Run, models: Path, model_root: Path, inputs: Path, tmp_path: Path) -> None:
    """A photo edited and dressed anew in one command, steps to another style, and both made again from their manifests."""
    pair, parser = f"{model_root / 'mask-vae-celeba'}+{models / 'clvae'}", model_root / "face-parser-celeba"
    common = ("--photo", inputs / "photo.png", "--mask", inputs / "face.png", "--parser", parser, "--device", "cpu")
    edit = ("--edit", "redraw:hair", "--keep-rest", "--style", "hair@deep=prior", "--style", "skin@1,2=seed:3")
    made = run("compose", pair, *common, *edit, "--keep", "nose,mouth", "-n", 2, "--seed", 1, "--out", tmp_path / "a")
    assert made.code == 0, made.err
    other = f"{inputs / 'photo2.png'}::{inputs / 'other.png'}"
    steps = ("--style", "seed:1", "--style", f"nose={other}", "--style-to", "seed:2", "-n", 3)
    made = run("synth", models / "clvae", inputs / "face.png", *steps, "--seed", 1, "--out", tmp_path / "b")
    assert made.code == 0, made.err
    for name in "ab":
        again = run("replay", tmp_path / name / "manifest.json")
        assert again.code == 0, again.err


# --- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--style", "hiar=prior"), "did you mean 'hair'"),
        (("--style", "hat=prior"), "Nothing to style: no map shows hat"),
        (("--style", "hair@deeep=prior"), "did you mean 'deep'"),
        (("--style", "hair@6=prior"), "no style layer 6"),
        (("--style", "hair@0=prior"), "numbers from 1"),
        (("--style", "hair@=prior"), "names no class or layer"),
        (("--style", "hair=priro"), "did you mean 'prior'"),
        (("--style", "seed:x"), "seed:N takes a whole number"),
        (("--style", "PHOTO::SMALL"), "48 x 48 pixels, its map SMALL has 20 x 20"),
        (("--style", "nose=PHOTO::BARE"), "has no nose: its map shows background, skin"),
        (("--style", "PHOTO::STREETS"), "Values found"),
        (("--style", "PHOTO::NOTHING"), "There is no label map"),
        (("--style", "PHOTO::PARSING"), "Say --mask-space face-parsing"),
        (("--style", "PHOTO::PEOPLE"), "its palette shows the colours of atr. Say --mask-space atr"),
        (("--style-to", "seed:1"), "give -n 2 or more"),
        (("--style-to", "seed:1", "--same-style", "-n", 2), "leave --same-style out"),
        (("--instances", "SMALL"), "has the label map's size 48 x 48, got mode P, 20 x 20"),
        (("--instances", "NOTHING"), "There is no instance map"),
    ],
)
def test_one_clear_error(
    synth: Run, inputs: Path, tmp_path: Path, odd: dict[str, Path], options: tuple[object, ...], message: str
) -> None:
    def filled(text: object) -> str:
        for name, path in {**odd, "PHOTO": inputs / "photo.png"}.items():
            text = str(text).replace(name, str(path))
        return str(text)

    made = synth(*map(filled, options))
    assert made.code == (1 if "STREETS" in str(options[1]) or message.startswith("has the label") else 2)
    assert filled(message) in made.err and made.err.count("Error") <= 1 and not (tmp_path / "out").exists()


@pytest.fixture
def odd(inputs: Path, tmp_path: Path) -> dict[str, Path]:
    """Maps that do not go with `photo.png`, though all but one have its size."""
    space = zoo.label_space("celebamask-hq")
    face = SemanticMap.from_png(inputs / "face.png", space)
    bare = face.labels.clone()
    bare[bare == space.index("nose")] = space.index("skin")
    folder = tmp_path / "maps"
    folder.mkdir()
    face.resize((20, 20)).to_png(folder / "small.png")
    SemanticMap(bare, space).to_png(folder / "bare.png")
    save_image(Image.fromarray(np.full((48, 48), 150, np.uint8)), folder / "streets.png")
    parsing = toy_face().to_space(zoo.label_space("face-parsing")).resize((48, 48)).labels[0]
    save_image(Image.fromarray(parsing.numpy().astype(np.uint8)), folder / "parsing.png")
    SemanticMap(torch.arange(48 * 48).reshape(1, 48, 48) % 6, zoo.label_space("atr")).to_png(folder / "people.png")
    names = ("SMALL", "BARE", "STREETS", "PARSING", "PEOPLE", "NOTHING")
    return {n: folder / f"{n.lower()}.png" for n in names}


def toy_face() -> SemanticMap:
    from zoo.data.specs import open_source, parse_spec

    source = open_source(parse_spec("toy-faces:8"))
    return SemanticMap(torch.from_numpy(source.read(0, (96, 96))[1].copy()).long()[None], source.label_space)


def test_a_named_space_is_judged_and_trust_says_yes(synth: Run, run: Run, tmp_path: Path, odd: dict[str, Path]) -> None:
    named = synth("--mask-space", "face-parsing", mask=odd["PARSING"])
    assert named.code == 0, named.err
    assert "trust_maps" not in manifest(tmp_path / "out")["request"]
    for options in ((), ("--mask-space", "celebamask-hq")):
        refused = synth(*options, "--overwrite", mask=odd["PARSING"])
        assert (
            refused.code == 2
            and "Say --mask-space face-parsing; if it is right as it stands, --trust-maps." in refused.err
        )
    trusted = synth("--trust-maps", "--overwrite", mask=odd["PARSING"])
    assert trusted.code == 0 and manifest(tmp_path / "out")["request"]["trust_maps"] is True, trusted.err
    assert run("replay", tmp_path / "out/manifest.json").code == 0


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("scgan", ("--style", "hair=prior"), "no class axis: leave hair= out (--style prior)"),
        ("scgan", ("--style", "hair@deep=prior"), "no class axis and no layers"),
        ("scgan", ("--style", "LOOK"), "was made by another model: it holds codes ["),
        ("plain", ("--style", "prior"), "has no style: its picture depends on the map alone"),
        ("plain", ("--style-to", "mean", "-n", 2), "has no style"),
        ("clvae", ("--style", "OTHER"), "was made by another model: it holds z [channel 8]"),
        ("clvae", ("--style", "ORDER"), "of classes background, skin, l_brow, r_brow, …"),
        ("clvae", ("--style", "NOISE"), "is not a style file of the zoo"),
        ("clvae", ("--style", "hat=LOOK"), "has no hat: its map shows"),
    ],
)
def test_a_style_of_another_kind(
    synth: Run, model_root: Path, tmp_path: Path, inputs: Path, model: str, options: tuple[object, ...], message: str
) -> None:
    space = zoo.label_space("celebamask-hq")
    face = SemanticMap.from_png(inputs / "face.png", space)
    files = {n: tmp_path / f"{n.lower()}.safetensors" for n in ("LOOK", "OTHER", "ORDER", "NOISE")}
    clvae = model_of()
    clvae.sample_style(face, 0).save(files["LOOK"])
    zoo.create("scgan/celeba-128", **SCGAN).sample_style(face, 0).save(files["OTHER"])  # type: ignore[operator]
    order = zoo.label_space("face-parsing")
    turned = zoo.create("clvae/celeba-128", **{**clvae_sizes(clvae), "label_space": "face-parsing"})
    turned.sample_style(face.to_space(order), 0).save(files["ORDER"])  # type: ignore[operator]
    files["NOISE"].write_bytes(b"nothing")

    def filled(text: object) -> str:
        return next((str(text).replace(n, str(p)) for n, p in files.items() if n in str(text)), str(text))

    made = synth(*map(filled, options), model=model_root / "scgan-celeba" if model == "scgan" else model)
    assert made.code == (1 if "NOISE" in str(options[1]) else 2) and message in made.err, made.err
    assert not (tmp_path / "out").exists()


def clvae_sizes(model: Model) -> dict:
    names = ("resolution", "ngf", "max_width", "spade_hidden", "z_dim", "z_dim_local", "nef", "encoder_size")
    return {n: getattr(model.config, n) for n in names}


def test_options_that_need_others(run: Run, models: Path, model_root: Path, inputs: Path, tmp_path: Path) -> None:
    pair = f"{model_root / 'mask-vae-celeba'}+{models / 'clvae'}"
    for options, message in (
        (("--keep", "skin", "--mask", inputs / "face.png"), "--keep needs --photo"),
        (("--labels", "skin,nose", "--style", "hair=prior"), "Nothing to style: no map shows hair"),
        (("--photo", inputs / "photo.png", "--mask", inputs / "face.png", "--keep", "skni"), "did you mean 'skin'"),
    ):
        made = run("compose", pair, *options, "--out", tmp_path / "out", "--device", "cpu")
        assert made.code == 2 and message in made.err and not (tmp_path / "out").exists(), made.err
    dressed = run("compose", pair, "--labels", "skin,nose", "--style", "background=prior", "--out", tmp_path / "out")
    assert dressed.code == 0, dressed.err


def test_wrong_pairs_are_told_without_torch(models: Path, inputs: Path, odd: dict[str, Path], tmp_path: Path) -> None:
    code = "import sys; from zoo.cli import main\ntry: main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "synth", models / "clvae", inputs / "face.png", "--out", tmp_path / "out"]
    style = f"nose={inputs / 'photo.png'}::{odd['BARE']}"
    done = subprocess.run(
        [*map(str, command), "--style", style],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "False\n") and "has no nose" in done.stderr, done.stderr


# --- instances ----------------------------------------------------------------------------------------------------


def test_instance_edges(synth: Run, tmp_path: Path) -> None:
    """Two touching things of one class: the edge between them is drawn where they are numbered, and its lack is told."""
    scene = torch.zeros(1, 48, 48, dtype=torch.long)
    scene[:, 24:] = 1
    space = zoo.label_space("coco-stuff")
    SemanticMap(scene, space).to_png(tmp_path / "scene.png")
    numbers = np.zeros((48, 48), np.uint16)
    numbers[24:] = 1000
    numbers[24:, 24:] = 1001  # more than eight bits
    save_image(Image.fromarray(numbers), tmp_path / "things.png")
    plain = synth(model="edges", mask=tmp_path / "scene.png")
    assert plain.code == 0 and "The map has no instance numbers" in plain.err
    assert "no instance numbers" in manifest(tmp_path / "out")["summary"]["notes"][0]
    before = (tmp_path / "out/images/000000.png").read_bytes()
    told = synth("--instances", tmp_path / "things.png", "--overwrite", model="edges", mask=tmp_path / "scene.png")
    assert (
        told.code == 0 and "instance numbers" not in told.err and "notes" not in manifest(tmp_path / "out")["summary"]
    )
    assert (tmp_path / "out/images/000000.png").read_bytes() != before


def test_instance_edges_of_a_python_caller(models: Path, inputs: Path, run: Run, tmp_path: Path) -> None:
    """Numbers count beside a photo too, and those of a map that was given as an object are in its manifest."""
    space = zoo.label_space("coco-stuff")
    scene = SemanticMap(torch.zeros(1, 48, 48, dtype=torch.long), space)
    numbers = torch.zeros(1, 48, 48, dtype=torch.long)
    numbers[:, :, 24:] = 100_000  # more than sixteen bits
    scene.to_png(tmp_path / "scene.png")
    save_image(Image.fromarray((numbers[0] > 0).numpy().astype(np.uint16)), tmp_path / "things.png")
    pipe = zoo.compose((None, str(models / "edges")), device="cpu")
    made = pipe(maps=SemanticMap(scene.labels, space, numbers), seed=0)
    assert made.images is not None and "notes" not in made.report
    again = run("replay", made.save(tmp_path / "run") / "manifest.json")
    assert again.code == 0, again.err
    plain = pipe(maps=scene, seed=0)
    assert "no instance numbers" in plain.report["notes"][0]
    assert plain.images is not None and not torch.equal(plain.images, made.images)
    request: dict[str, Any] = {"maps": tmp_path / "scene.png", "instances": str(tmp_path / "things.png"), "seed": 0}
    for told in (pipe(**request), pipe(**request, photos=inputs / "photo.png")):
        assert told.images is not None and torch.equal(told.images, made.images)
