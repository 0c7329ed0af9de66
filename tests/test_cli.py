"""The commands: data on stdout, talk on stderr, exit codes, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran

import zoo
from zoo.cli import COMMANDS

Run = Callable[..., Ran]


def test_compose_by_name(run: Run, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    made = run("compose", "mask-vae+scgan", "-n", 2, "--seed", 1, "--out", out, "--device", "cpu")
    assert made.code == 0 and made.out == f"{out}\n" and "2 samples, seed 1" in made.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert (
        manifest["composition"] == "mask-vae-celeba+scgan-celeba"
        and manifest["models"]["generator"]["source"] == "mask-vae"
    )


def test_generate_and_synth(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    maps = run(
        "generate",
        "mask-vae",
        "--labels",
        "skin, hair",
        "-n",
        3,
        "--seed",
        0,
        "--out",
        tmp_path / "maps",
        "--device",
        "cpu",
    )
    assert (
        maps.code == 0
        and not (tmp_path / "maps/images").exists()
        and len(list((tmp_path / "maps/maps").iterdir())) == 3
    )
    made = run(
        "synth", "scgan", tmp_path / "maps/maps", "-n", 2, "--seed", 0, "--out", tmp_path / "photos", "--device", "cpu"
    )
    assert made.code == 0 and len(list((tmp_path / "photos/images").iterdir())) == 6
    edited = run(
        "generate",
        "mask-vae",
        "--mask",
        inputs / "face.png",
        "--edit",
        "remove:nose",
        "--seed",
        0,
        "--out",
        tmp_path / "edited",
        "--device",
        "cpu",
    )
    assert edited.code == 0 and "Outside the edited classes" in edited.err
    assert run("generate", "mask-vae", "--mask", inputs / "face.png").code == 2


def test_everything_at_once(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    photo, other = inputs / "photo.png", inputs / "other.png"
    made = run(
        *("compose", "mask-vae+scgan", "--photo", photo, "--mask", inputs / "face.png", "--edit", f"interpolate:hair={other}@0.5"),
        *("--edit", "perturb:nose=0.5", "--keep-rest", "--keep", "skin", "--style", f"{inputs / 'photo2.png'}::{other}", "--style-to", "seed:3"),
        *("-n", 3, "--seed", 4, "--prior", "normal", "--batch-size", 2, "--out", tmp_path / "out", "--device", "cpu"),
    )  # fmt: skip
    assert made.code == 0 and "and were put back" in made.err
    assert run("replay", tmp_path / "out", "--json").code == 0


def test_a_photo_alone(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    """The published parser of the label space reads its map; the photo is the style too."""
    made = run(
        "compose",
        "mask-vae+scgan",
        "--photo",
        inputs / "photo.png",
        "-n",
        2,
        "--out",
        tmp_path / "out",
        "--device",
        "cpu",
    )
    assert made.code == 0 and "Nothing is random" in made.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["models"]["parser"]["id"] == "face-parser-celeba" and len(manifest["request"]["photos"]) == 1


def test_mask_space_is_told(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    parsing = zoo.label_space("face-parsing")
    zoo.SemanticMap.from_png(inputs / "face.png", zoo.label_space("celebamask-hq")).to_space(parsing).to_png(
        tmp_path / "theirs.png"
    )
    made = [
        run("synth", "scgan", path, "--seed", 0, "--out", tmp_path / name, "--device", "cpu", *more)
        for name, path, more in (
            ("ours", inputs / "face.png", ()),
            ("theirs", tmp_path / "theirs.png", ("--mask-space", "face-parsing")),
        )
    ]
    assert [m.code for m in made] == [0, 0] and "face-parsing -> celebamask-hq" in made[1].err
    assert (tmp_path / "ours/images/000000.png").read_bytes() == (tmp_path / "theirs/images/000000.png").read_bytes()


def test_what_is_not_random_is_told(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    common = ("compose", "mask-vae+scgan", "--mask", inputs / "face.png", "--style", "mean", "-n", 2, "--device", "cpu")
    assert "Nothing is random" in run(*common, "--edit", "remove:nose", "--out", tmp_path / "a").err
    assert "Nothing is random" not in run(*common, "--edit", "redraw:nose", "--out", tmp_path / "b").err


def test_parse(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    made = run("parse", inputs / "photo.png", inputs / "photo2.png", "--out", tmp_path / "maps", "--device", "cpu")
    assert made.code == 0 and made.out.split() == [str(tmp_path / f"maps/{n}.png") for n in ("photo", "photo2")]
    assert zoo.SemanticMap.from_png(tmp_path / "maps/photo.png", zoo.label_space("celebamask-hq")).size == (48, 48)
    again = run("parse", inputs / "photo.png", "--out", tmp_path / "maps")
    assert again.code == 2 and "--overwrite" in again.err
    own = run("parse", inputs / "photo.png", "--out", inputs, "--overwrite")
    assert own.code == 2 and "would replace the photo" in own.err
    other = run(
        "parse", inputs / "photo.png", "--out", tmp_path / "other", "--space", "face-parsing", "--device", "cpu"
    )
    assert other.code == 0 and "celebamask-hq -> face-parsing" in other.err


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("list", "mask*"),
        ("card", "scgan-celeba"),
        ("labels",),
        ("labels", "face-parsing"),
        ("plugins",),
        ("mask", "inspect", "FACE"),
    ],
)
def test_json_is_one_document(run: Run, published: Path, inputs: Path, command: tuple[str, ...]) -> None:
    arguments = [inputs / "face.png" if a == "FACE" else a for a in command]
    for made in (run(*arguments), run(*arguments, "--json")):
        assert made.code == 0 and made.out and made.err == ""
    json.loads(made.out)


def test_list_and_card(run: Run, published: Path) -> None:
    rows = json.loads(run("list", "--kind", "mask-generator", "--json").out)
    assert (
        [r["id"] for r in rows] == ["mask-vae-celeba"] and rows[0]["parameters"] > 0 and rows[0]["state"] == "embedded"
    )
    assert "A tiny model of the tests" in run("card", "scgan-celeba").out
    nothing = run("list", "zz*")
    assert nothing.code == 0 and nothing.out == "" and "No model matches" in nothing.err


def test_help_and_version(run: Run) -> None:
    assert all(name in run("--help").out for name in COMMANDS)
    assert run("--version").out == f"zoo, version {zoo.__version__}\n"
    for name in COMMANDS:
        made = run(name, "--help")
        assert made.code == 0 and "Usage: zoo" in made.out and made.err == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("compse",), "'compose'"),
        (("card", "scgan-celba"), "'scgan-celeba'"),
        (("compose", "mask-vea+scgan"), "'mask-vae'"),
        (("labels", "celebmask-hq"), "'celebamask-hq'"),
        (("compose", "mask-vae+scgan", "--labels", "skin,noze"), "'nose'"),
        (("compose", "mask-vae+scgan", "--sed", "1"), "--seed"),
        (("parse", "PHOTOO", "--out", "x"), "'photo.png'"),
    ],
)
def test_near_misses(run: Run, published: Path, inputs: Path, arguments: tuple[str, ...], hint: str) -> None:
    wrong = run(*(inputs / "phto.png" if a == "PHOTOO" else a for a in arguments))
    assert wrong.code == 2 and wrong.out == "" and hint in wrong.err
    # click's own words for several near options changed with its versions
    assert "did you mean" in wrong.err.lower() or "possible options: " in wrong.err.lower()


def test_an_unforeseen_fault_is_one_block(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("zoo.cli.labels.table", fail)
    made = run("labels")
    assert made.code == 1 and made.err.startswith("Error: RuntimeError: boom") and "--debug" in made.err
