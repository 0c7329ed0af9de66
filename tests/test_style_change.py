"""How far a style of single classes reaches: measured, in the manifest, and laid out in rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from clvae_tiny import model_of
from fixtures_models import drawn_face
from PIL import Image

import zoo
from zoo.composition.request.requests import Request
from zoo.composition.run import style_change
from zoo.composition.run.inputs import Loader
from zoo.composition.summary import summarize
from zoo.interfaces.models import ImageSynthesizer
from zoo.maps import SemanticMap


@pytest.fixture(scope="module")
def pipe(pair: tuple[str, str], model_root: Path) -> zoo.Composition:
    return zoo.compose((pair[0], model_of()), device="cpu", parser=str(model_root / "face-parser-celeba"))


@pytest.fixture
def face(inputs: Path) -> Path:
    return inputs / "face.png"


def test_inside_and_outside_of_a_class() -> None:
    """A change of 0.5 in the class, of 0.1 everywhere else; what lies near the class counts as neither."""
    space = zoo.label_space("celebamask-hq")
    labels = torch.zeros(2, 64, 128, dtype=torch.long)
    labels[0, 20:30, 20:40] = space.index("hair")
    maps = SemanticMap(labels, space)
    base = torch.zeros(2, 3, 64, 128)
    images = torch.full_like(base, 0.1)
    images[0, :, 12:38, 12:48] = 0.9  # eight pixels around: the shorter side has 64 of 128
    images[0, :, 20:30, 20:40] = 0.5
    found, absent = style_change.measure(maps, images, base, ["hair"])
    assert found == {"classes": ["hair"], "reach": 8, "inside": 0.5, "outside": 0.1, "ratio": 0.2}
    assert absent["inside"] is absent["ratio"] is absent["outside"] is None
    summary = summarize([{"style_change": found}, {"style_change": absent}])["style_change"]
    assert summary == {"classes": ["hair"], "reach": 8, "samples": 1, "inside": 0.5, "outside": 0.1, "ratio": 0.2}


def test_dilation_reaches_as_far_as_it_says() -> None:
    mask = torch.zeros(1, 21, 21, dtype=torch.bool)
    mask[0, 10, 10] = True
    assert style_change.dilate(mask, 3)[0].nonzero().tolist() == [[y, x] for y in range(7, 14) for x in range(7, 14)]


def test_the_figures_are_those_of_two_runs(pipe: zoo.Composition, face: Path) -> None:
    """Against the same samples without the class's own style, whatever the batch."""
    fixed = pipe(maps=face, n=3, seed=4, style="seed:1")
    varied = pipe(maps=face, n=3, seed=4, style=["seed:1", "hair,nose@deep=prior"], batch_size=2)
    expected = style_change.measure(varied.maps, varied.images, fixed.images, ["hair", "nose"])  # type: ignore[arg-type]
    for sample, report in zip(varied.report["samples"], expected, strict=True):
        found = sample["style_change"]
        assert found["classes"] == ["nose", "hair"] and found["inside"] > 0
        for key in ("inside", "outside", "ratio"):
            assert found[key] == pytest.approx(report[key], rel=2e-2, abs=2e-5)
    free = pipe(maps=face, n=2, seed=4)
    own = pipe(maps=face, n=2, seed=4, style="hair=seed:9")  # each sample against its own base
    expected = style_change.measure(own.maps, own.images, free.images, ["hair"])  # type: ignore[arg-type]
    assert [s["style_change"]["inside"] for s in own.report["samples"]] == [
        pytest.approx(r["inside"], rel=2e-2, abs=2e-5) for r in expected
    ]
    assert "style_change" not in free.report and "style_change" not in free.report["samples"][0]


def test_it_costs_one_picture_per_map_and_base_style(
    pipe: zoo.Composition, face: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(pipe.synthesizer, ImageSynthesizer)
    rendered: list[int] = []
    real = pipe.synthesizer.synthesize

    def counting(layout, style, **options):
        rendered.append(len(style))
        return real(layout, style, **options)

    monkeypatch.setattr(pipe.synthesizer, "synthesize", counting)
    pipe(maps=[face, inputs / "other.png"], n=4, seed=0, style=["seed:1", "hair=prior"], batch_size=3)
    assert sum(rendered) == 8 + 2
    rendered.clear()
    pipe(maps=face, n=4, seed=0, style="prior")
    assert sum(rendered) == 4


def test_it_is_measured_before_pixels_are_kept(pipe: zoo.Composition, inputs: Path) -> None:
    request = {"photos": inputs / "photo.png", "maps": inputs / "face.png", "n": 2, "seed": 0, "style": "hair=prior"}
    free, kept = pipe(**request), pipe(**request, keep=["skin", "nose"])
    for a, b in zip(free.report["samples"], kept.report["samples"], strict=True):
        assert a["style_change"] == b["style_change"]
    assert free.images is not None and kept.images is not None and kept.maps is not None
    pasted = (kept.maps.labels == 1) | (kept.maps.labels == 2)
    loader = Loader(pipe, Request())
    photo = loader.pair(inputs / "photo.png", inputs / "face.png", pipe.space).photos
    assert photo is not None
    colours = kept.images.permute(0, 2, 3, 1)
    assert torch.equal(colours[pasted], photo.expand_as(kept.images).permute(0, 2, 3, 1)[pasted])
    assert torch.equal(colours[~pasted], free.images.permute(0, 2, 3, 1)[~pasted])


def test_what_comes_from_the_prior_is_told(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    space = pipe.space
    bare = drawn_face()
    bare[bare == space.index("nose")] = space.index("skin")
    SemanticMap(bare, space).to_png(tmp_path / "bare.png")
    photo = f"{inputs / 'photo.png'}::{tmp_path / 'bare.png'}"
    made = pipe(maps=inputs / "face.png", n=2, seed=4, style=photo)
    assert [s["style_from_prior"] for s in made.report["samples"]] == [["nose"]] * 2
    assert made.report["style_from_prior"] == {"nose": 2}
    given = pipe(maps=inputs / "face.png", seed=4, style=[photo, "nose=seed:1"])  # a later source brings it
    assert "style_from_prior" not in given.report
    partly = pipe(maps=inputs / "face.png", seed=4, style=[photo, "nose@deep=seed:1"])
    assert partly.report["style_from_prior"] == {"nose": 1}
    steps = pipe(maps=inputs / "face.png", n=3, seed=4, style="seed:1", style_to=photo)
    assert steps.report["notes"] == [f"The style {photo} has no nose: there the style stays as it is."]


def test_a_row_for_each_map(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    """The map first, then its pictures; nine make a second row without the map."""
    maps = [inputs / "face.png", inputs / "other.png"]
    out = pipe(maps=maps, n=9, seed=0, style=["seed:1", "hair=prior"]).save(tmp_path / "run")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["summary"]["style_change"]["samples"] == 18
    cells = {(1, 0): "images/000000", (8, 0): "images/000007", (1, 1): "images/000008", (0, 2): "maps/000009", (1, 3): "images/000017"}  # fmt: skip
    with Image.open(out / "grid.png") as grid:
        assert grid.size == (9 * 32, 4 * 32)
        for (x, y), name in {**cells, (0, 0): "maps/000000"}.items():
            with Image.open(out / f"{name}.png") as picture:
                assert (
                    grid.crop((x * 32, y * 32, x * 32 + 32, y * 32 + 32)).tobytes() == picture.convert("RGB").tobytes()
                )
        white = grid.crop((0, 32, 32, 64))
        assert white.getextrema() == ((255, 255),) * 3
    free = pipe(labels=["skin", "hair"], n=3, seed=0).save(tmp_path / "drawn")
    with Image.open(free / "grid.png") as grid:  # each its own map: maps above pictures
        assert grid.size == (3 * 32, 2 * 32)
