"""The embedded SegVAE weights do what the README says: asked-for classes, edits that keep the rest, people refused or mapped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures_models import Ran
from PIL import Image

import zoo
from zoo.edits import Add, Redraw, Remove
from zoo.maps import SemanticMap
from zoo_plugins.segvae.model import SegVAE

FACE = ("skin", "hair", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "u_lip", "l_lip", "neck")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def faces() -> SegVAE:
    model = zoo.optimize(zoo.load("segvae-celeba", device="cpu"))
    assert isinstance(model, SegVAE)
    return model


def test_eight_different_faces_with_the_requested_classes(tmp_path: Path, run: Callable[..., Ran]) -> None:
    out = tmp_path / "o"
    done = run("compose", "segvae+scgan", "--labels", ",".join(FACE), "-n", 8, "--seed", 4, "--out", out)
    assert done.code == 0, done.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["summary"]["requested"]) == set(FACE)
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    maps = [np.array(Image.open(p)) for p in sorted((out / "maps").glob("*.png"))]
    space = zoo.label_space("celebamask-hq")
    for line, labels in zip(lines, maps, strict=True):
        shown = {space.names[v] for v in np.unique(labels)}
        assert shown <= {*FACE, "background"} and set(line["empty"]) == set(FACE) - shown
    assert len({m.tobytes() for m in maps}) == 8
    # a face is a face: skin in the middle, eyes above the nose, the nose above the lower lip
    for labels in maps:
        assert labels.shape == (128, 128) and (labels == space.index("skin")).mean() > 0.1
        rows = {
            n: np.nonzero(labels == space.index(n))[0].mean()
            for n in ("nose", "l_eye", "l_lip")
            if n in FACE and (labels == space.index(n)).any()
        }
        assert list(rows) != [] and rows.get("l_eye", 0) < rows.get("nose", 64) < rows.get("l_lip", 128)


def test_edits_keep_every_other_part(faces: SegVAE) -> None:
    space = faces.label_space
    given = faces.generate([space.label_set((*FACE, "hat"))] * 4, rng=5)
    for edit, names in ((Add(("eye_g",)), ("eye_g",)), (Remove(("hat",)), ("hat",)), (Redraw(("hair",)), ("hair",))):
        edited = faces.edit(given, [edit], rng=6)
        touched = torch.zeros(256, dtype=torch.bool)
        touched[[space.index(n) for n in names]] = True
        outside = ~touched[given.labels] & ~touched[edited.labels]
        assert torch.equal(given.labels[outside], edited.labels[outside]), edit
        assert not torch.equal(given.labels, edited.labels), edit
    glasses = faces.edit(given, [Add(("eye_g",))], rng=6).present()[:, space.index("eye_g")]
    assert glasses.float().mean() >= 0.5
    assert not bool(faces.edit(given, [Remove(("hat",))], rng=6).present()[:, space.index("hat")].any())


def test_several_samples_of_a_redrawn_part_differ(faces: SegVAE) -> None:
    space = faces.label_space
    one = faces.generate([space.label_set(FACE)], rng=2)
    redrawn = faces.edit(SemanticMap.cat([one] * 6), [Redraw(("hair",))], rng=9)
    assert len({row.numpy().tobytes() for row in redrawn.labels}) == 6


def test_people_are_not_faces(tmp_path: Path, run: Callable[..., Ran]) -> None:
    """segvae-ccp speaks `atr`: what a face synthesizer knows of it is mapped by name, and the rest is said to be dropped."""
    out = tmp_path / "o"
    done = run("compose", "segvae-ccp+scgan", "-n", 2, "--seed", 1, "--out", out)
    assert done.code == 0, done.err
    assert "atr -> celebamask-hq" in done.err and "upper-clothes" in done.err
    mapping = json.loads((out / "manifest.json").read_text())["mappings"][0]
    assert "pants" in mapping["dropped"] and mapping["mapped"]["hair"] == "hair"


def test_accessories_alone_and_nothing_at_all(tmp_path: Path, run: Callable[..., Ran]) -> None:
    out = tmp_path / "o"
    done = run("generate", "segvae", "--labels", "hat,eye_g", "--seed", 1, "--out", out)
    assert done.code == 0, done.err
    values = set(np.unique(np.array(Image.open(out / "maps" / "000000.png"))).tolist())
    space = zoo.label_space("celebamask-hq")
    assert values <= {0, space.index("hat"), space.index("eye_g")}
    for labels, said in (("", "empty"), ("hat,nosee", "nosee")):
        refused = run("generate", "segvae", "--labels", labels, "--out", tmp_path / "no")
        assert refused.code == 2 and said in refused.err and not (tmp_path / "no").exists()


def test_dressed_people_have_their_clothes() -> None:
    model = zoo.optimize(zoo.load("segvae-ccp", device="cpu"))
    assert isinstance(model, SegVAE)
    sets = model.sample_label_sets(8, 3)
    maps = model.generate(sets, rng=3)
    asked = sum(len(s.names) for s in sets)
    shown = sum(len(set(s.names) & set(m.names)) for s, m in zip(sets, maps.label_sets(), strict=True))
    assert shown / asked > 0.7
