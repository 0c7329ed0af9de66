"""`zoo translate`: a folder of pictures, the same bytes again, runs that go on, and one clear error for what does not do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures_models import Ran
from munit_tiny import drawn, tiny_munit, write_domains
from PIL import Image
from safetensors.torch import save_file

import zoo
from zoo.composition.models import Named
from zoo.errors import Cancelled, UsageError, WeightsError
from zoo.files.opened import OpenedFiles
from zoo.hub import Resolved
from zoo.translation.request import TranslationRequest
from zoo.translation.run import Translation

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.save(tiny_munit(), tmp_path_factory.mktemp("models") / "seasons")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two of domain A in different shapes, one of B."""
    made = [drawn("A", 0, (40, 32)), drawn("A", 1, (48, 90)), drawn("B", 2)]
    paths = [tmp_path / name for name in ("one.png", "two.jpg", "b.png")]
    for image, path in zip(made, paths, strict=True):
        image.save(path)
    return paths


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"), dtype=np.int16)


def test_a_folder_and_its_replay(run: Run, model: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("translate", model, *photos[:2], "-n", 3, "--seed", 7, "--batch-size", 2, "--out", out)
    assert (
        ran.code == 0 and ran.out == f"{out}\n" and "2 photos of A as B." in ran.err and "6 samples, seed 7" in ran.err
    )
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["models"].keys() == {"translator"} and manifest["size"] == [60, 40] and manifest["finished"]
    assert manifest["request"]["to"] == "B" and manifest["request"]["photo_names"] == ["one.png", "two.jpg"]
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [line["labels"] for line in lines] == [["B"]] * 6 and len({line["sha256"]["image"] for line in lines}) == 6
    # proportions stay: 40 x 32 at 40 x 32, 48 x 90 at 32 x 60
    assert [Image.open(out / f"images/{i:06d}.png").size for i in (0, 3)] == [(40, 32), (32, 60)]
    assert Image.open(out / "grid.png").size == (4 * 40, 2 * 60)
    assert "zoo translate" in (out / "README.md").read_text() and "image-to-image" in (out / "README.md").read_text()
    again = run("replay", out, "--out", tmp_path / "again")
    assert again.code == 0 and again.out == "6 of 6 files are equal\n"
    for name in ("grid.png", "metadata.jsonl", "README.md", "images/000004.png"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    assert pixels(out / "grid.png")[:32, :40].mean() == pytest.approx(pixels(photos[0]).mean(), abs=2), (
        "the photo first"
    )


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    run: Run, model: Path, photos: list[Path], tmp_path: Path
) -> None:
    command = ("translate", model, *photos[:2], "-n", 3, "--seed", 7, "--batch-size", 2)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(*command, "--out", whole).code == run(*command, "--out", cut).code == 0
    lines = (cut / "metadata.jsonl").read_text().splitlines(keepends=True)
    (cut / "metadata.jsonl").write_text("".join(lines[:3]))
    (cut / "images/000001.png").write_bytes(b"torn")
    manifest = json.loads((cut / "manifest.json").read_text())
    (cut / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    ran = run(*command[:-4], "--batch-size", 2, "--out", cut)  # the seed is that of the folder
    assert ran.code == 0 and "2 of 6 samples are there" in ran.err and "1 samples are damaged" in ran.err
    for path in sorted(whole.rglob("*.*")):
        assert (cut / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
    other = run(*command[:-4], "--batch-size", 2, "--to", "A", "--out", cut)
    assert other.code == 2 and "holds another run (it differs in request" in other.err
    assert run(*command, "--to", "A", "--out", cut, "--overwrite").code == 0


def test_a_run_of_one_photo_grows(run: Run, model: Path, photos: list[Path], tmp_path: Path) -> None:
    """The same command with a larger -n goes on to the bytes of a fresh run; several photos are numbered by n, and cannot."""
    command = ("translate", model, photos[0], "--seed", 3, "--batch-size", 2)
    fresh, grown, several = (tmp_path / name for name in ("fresh", "grown", "several"))
    assert run(*command, "-n", 4, "--out", fresh).code == run(*command, "-n", 2, "--out", grown).code == 0
    ran = run(*command, "-n", 4, "--out", grown)
    assert ran.code == 0 and "2 of 4 samples are there" in ran.err
    for path in sorted(fresh.rglob("*.*")):
        assert (grown / path.relative_to(fresh)).read_bytes() == path.read_bytes(), path
    assert run("translate", model, *photos[:2], "-n", 1, "--seed", 3, "--out", several).code == 0
    refused = run("translate", model, *photos[:2], "-n", 2, "--seed", 3, "--out", several)
    assert refused.code == 2 and "several maps, photos or graphs" in refused.err


def test_where_styles_come_from(run: Run, model: Path, photos: list[Path], tmp_path: Path) -> None:
    """Samples take the styles in turn; a fixed one gives the same picture whatever the seed is."""
    translator = zoo.load(model)
    saved = tmp_path / "mine.safetensors"
    translator.sample_style(1, 3, domain="B").save(saved)  # type: ignore[operator]
    styles = ("--style", photos[2], "--style", saved, "--style", "seed:3", "--style", "random")
    made = {}
    for seed in (1, 2):
        made[seed] = tmp_path / str(seed)
        assert run("translate", model, photos[0], *styles, "--seed", seed, "--out", made[seed]).code == 0
        assert run("replay", made[seed]).code == 0
    first, second = ([pixels(f / f"images/{i:06d}.png") for i in range(4)] for f in (made[1], made[2]))
    same = [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    assert same == [True, True, True, False] and np.array_equal(first[1], first[2]) and not np.array_equal(*first[:2])
    assert Image.open(made[1] / "grid.png").size == (5 * 40, 2 * 32), "the photo of the style above its column"
    fixed = run("translate", model, photos[0], "--style", "seed:1", "-n", 2, "--seed", 1, "--out", tmp_path / "fixed")
    assert "Nothing is random" in fixed.err
    assert np.array_equal(*(pixels(tmp_path / f"fixed/images/00000{i}.png") for i in (0, 1)))
    back = run(
        "translate", model, photos[2], "--to", "A", "--style", photos[0], "--out", tmp_path / "a", "--format", "jpeg"
    )
    assert back.code == 0 and "1 photos of B as A." in back.err and (tmp_path / "a/images/000000.jpg").is_file()


def test_inputs_that_stay_where_they_are(run: Run, model: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("translate", model, photos[0], "--style", photos[2], "--seed", 1, "--out", out)
    assert run(*command, "--no-inputs").code == 0 and not (out / "inputs").exists()
    asked = run("replay", out)
    assert asked.code == 2 and "--input" in asked.err
    assert run("replay", out, "--input", tmp_path).code == 0


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no file": (("nope.png",), "There is no photo nope.png"),
    "no picture": (("text.png",), "text.png is not a picture that can be read"),
    "an empty folder": (("empty",), "The folder empty holds no pictures"),
    "a domain of nobody": (("one.png", "--to", "winter"), "MUNIT has no domain 'winter' (domains: A, B)"),
    "a source of nobody": (("one.png", "--from", "C"), "MUNIT has no domain 'C'"),
    "no style photo": (("one.png", "--style", "none.jpg"), "There is no photo none.jpg"),
    "a style that is none": (("one.png", "--style", "rando"), "Not a style: 'rando'; did you mean 'random'"),
    "a mean style": (("one.png", "--style", "mean"), "it has no mean"),
    "a map for a style": (("one.png", "--style", "b.png::b.png"), "a photo is enough, without a map"),
    "a foreign style file": (
        ("one.png", "--style", "foreign.safetensors"),
        "foreign.safetensors is no style of seasons",
    ),
    "weights for a style": (
        ("one.png", "--style", "weights.safetensors"),
        "not a style file of the zoo (its head: expected an object, got null): write",
    ),
    "a torn style file": (("one.png", "--style", "torn.safetensors"), "torn.safetensors is not a style file"),
    "no sample": (("one.png", "-n", "0"), "-n must be 1 or more, got 0"),
    "fewer samples than none": (("one.png", "-n", "-3"), "-n must be 1 or more, got -3.\n"),
    "more styles than samples": (
        ("one.png", "-n", "1", "--style", "seed:1", "--style", "seed:2"),
        "2 styles for 1 samples",
    ),
    "quality of a PNG": (("one.png", "--quality", "5"), "--quality is of JPEG"),
    "a photo too long": (("long.png",), "would be translated at 25600 x 32, more than 8192 a side"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_do_is_one_error_and_no_folder(
    name: str, run: Run, model: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    Image.new("RGB", (1600, 2)).save(tmp_path / "long.png")
    save_file({"a.weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    zoo.Style({"z": torch.zeros(1, 5)}, {"z": ("sample", "channel")}).save(tmp_path / "foreign.safetensors")
    arguments, said = WRONG[name]
    ran = run("translate", model, *arguments, "--out", "out")
    assert ran.code in (1, 2) and ran.out == "" and said in ran.err, ran.err
    assert ran.err.startswith("Error: ") and ran.err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_models_of_other_kinds_are_refused(run: Run, model: Path, model_root: Path, photos: list[Path]) -> None:
    wrong = run("translate", model_root / "scgan-celeba", photos[0])
    assert wrong.code == 2 and "is an image-synthesizer, and an image-translator is needed here" in wrong.err
    other = run("compose", f"{model_root / 'mask-vae-celeba'}+{model}", "-n", 1)
    assert other.code == 2 and "is an image-translator, and an image-synthesizer is needed here" in other.err
    assert "is an image-translator" in run("parse", photos[0], "--parser", model, "--out", "x").err


def test_manifests_of_strangers(run: Run, model: Path, photos: list[Path], tmp_path: Path) -> None:
    """Each field is held against its type and range before a model is loaded."""
    out = tmp_path / "out"
    assert run("translate", model, photos[0], "--style", "seed:1", "--seed", 1, "--out", out).code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    changes = {
        "photos": "one.png", "styles": [{"kind": "mean"}], "n": "3", "to": 5, "odd": 1, "batch_size": 0, "source": "x" * 300,
        "quality": 200, "photo_names": [1],
    }  # fmt: skip
    for key, value in changes.items():
        request = {**manifest["request"], key: value}
        (out / "manifest.json").write_text(json.dumps({**manifest, "request": request}))
        ran = run("replay", out)
        assert ran.code in (1, 2) and "incomplete or damaged" in ran.err, (key, ran.err)
    for key, value in (("samples", 2), ("size", [8, 8])):
        (out / "manifest.json").write_text(json.dumps({**manifest, key: value}))
        assert run("replay", out).code in (1, 2), key
    photo = next((out / "inputs").iterdir())
    (out / "manifest.json").write_text(json.dumps(manifest))
    photo.write_bytes(photos[1].read_bytes())
    assert "has other bytes than the run read" in run("replay", out).err


def test_progress_can_be_seen_and_stopped(photos: list[Path]) -> None:
    named = Named(tiny_munit(), Resolved("seasons", Path("/nonexistent"), "seasons"))
    translation = Translation(named, "cpu")
    request = translation.resolved(TranslationRequest(tuple(map(str, photos[:2])), n=3, batch_size=2))
    seen: list[tuple[int, int]] = []
    parts = list(translation.run(request, OpenedFiles(), progress=lambda done, total: seen.append((done, total))))
    assert seen == [(2, 6), (3, 6), (5, 6), (6, 6)] and [p.start for p in parts] == [0, 2, 3, 5]
    part = next(translation.run(request, OpenedFiles(), missing={5}))
    assert part.images is not None and torch.equal(part.images, parts[3].images)  # type: ignore[arg-type]

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        list(translation.run(request, OpenedFiles(), progress=stop))


def test_a_model_that_ran_away_is_named(photos: list[Path]) -> None:
    model = tiny_munit()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
        next(model.generators["b"].dec.parameters()).fill_(float("nan"))  # type: ignore[union-attr]
    translation = Translation(Named(model, Resolved("seasons", Path("/nonexistent"), "seasons")), "cpu")
    request = translation.resolved(TranslationRequest((str(photos[0]),), n=1))
    with pytest.raises(WeightsError, match="seasons made a picture that is none"):
        list(translation.run(request, OpenedFiles()))
    with pytest.raises(UsageError, match="MUNIT has no domain"):
        translation.resolved(TranslationRequest((str(photos[0]),), to="winter"))


@pytest.mark.slow
def test_trained_and_translated_by_the_real_command_line(tmp_path: Path) -> None:
    """A toy training on drawn pictures of two domains, then `zoo translate` and `zoo replay`, each a process of its own: what was on blue
    is on orange, and the discs stay where they were."""
    write_domains(tmp_path / "toy", train=24)

    def zoo_command(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "zoo", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr
        return done

    sets = {
        "resolution": 32, "dim": 8, "mlp_dim": 16, "style_dim": 4, "n_res": 1, "load_size": 34, "ndf": 8, "num_scales": 2, "n_layer": 2,
        "steps": 90, "batch_size": 8, "lr": 0.002, "validate_every": 0, "preview_every": 0,
    }  # fmt: skip
    options = [text for key, value in sets.items() for text in ("--set", f"{key}={value}")]
    assert "domains: A 28, B 28 photos" in zoo_command("data", "check", "domains:toy").stdout
    zoo_command("train", "munit/small-64", "--data", "domains:toy", *options, "--device", "cpu", "--out", "run")
    zoo_command("translate", "./run", "toy/valA", "-n", 2, "--seed", 1, "--out", "out")
    assert "8 of 8 files are equal" in zoo_command("replay", "out").stdout
    made = [pixels(tmp_path / f"out/images/{i:06d}.png") for i in range(0, 8, 2)]
    given = [pixels(tmp_path / f"toy/valA/{i:03d}.png") for i in range(4)]
    ground = np.mean([picture[:2].mean((0, 1)) for picture in made], 0)
    assert np.abs(ground - (200, 120, 40)).mean() < 40 < np.abs(ground - (30, 60, 170)).mean()
    for picture, photo in zip(made, given, strict=True):
        disc = photo.min(2) > 240
        assert picture[disc].mean() > picture[~disc].mean() + 20, "the disc is lighter than its ground"
