"""CLVAE's styles as the user meets them: per class, per layer, of several photos, and the way between two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from clvae_tiny import model_of

import zoo
from zoo.composition.checks.whole import describe_randomness
from zoo.composition.folder.results import Result
from zoo.errors import UsageError
from zoo.maps import SemanticMap


@pytest.fixture(scope="module")
def pipe(pair: tuple[str, str], model_root: Path) -> zoo.Composition:
    model = model_of()
    return zoo.compose((pair[0], model), device="cpu", parser=str(model_root / "face-parser-celeba"))


@pytest.fixture
def face(inputs: Path) -> Path:
    return inputs / "face.png"


def codes(result: Result) -> torch.Tensor:
    assert result.styles is not None
    return result.styles.tensors["codes"]


def whole(result: Result) -> torch.Tensor:
    """The codes of the whole pictures."""
    assert result.styles is not None
    return result.styles.tensors["z"]


def images(result: Result) -> torch.Tensor:
    assert result.images is not None
    return result.images


def changed(a: torch.Tensor, b: torch.Tensor, pipe: zoo.Composition) -> dict[str, list[int]]:
    """Layers (from 1, the coarsest) that differ anywhere, by class."""
    differ = (a != b).any(-1).any(0)
    return {
        pipe.space.names[c]: (differ[c].nonzero().flatten() + 1).tolist() for c in differ.any(1).nonzero().flatten()
    }


def test_one_class_varies_and_the_rest_stays(pipe: zoo.Composition, face: Path) -> None:
    fixed = pipe(maps=face, n=1, seed=0, style="seed:1")
    varied = pipe(maps=face, n=3, seed=0, style=["seed:1", "hair=prior"], batch_size=2)
    assert changed(codes(varied), codes(fixed).expand(3, -1, -1, -1), pipe) == {"hair": [1, 2, 3, 4, 5]}
    assert len(torch.unique(codes(varied)[:, pipe.space.index("hair")], dim=0)) == 3
    assert torch.equal(whole(varied), whole(fixed).expand(3, -1))
    assert not torch.equal(images(varied)[0], images(varied)[1])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("deep", [4, 5]), ("shallow", [1, 2]), ("middle", [3]), ("1,5", [1, 5]), ("shallow,3", [1, 2, 3])],
)
def test_layers_of_a_class(pipe: zoo.Composition, face: Path, layers: str, expected: list[int]) -> None:
    fixed = pipe(maps=face, seed=0, style="seed:1")
    varied = pipe(maps=face, seed=0, style=["seed:1", f"hair@{layers}=seed:2"])
    assert changed(codes(varied), codes(fixed), pipe) == {"hair": expected}
    with pytest.raises(UsageError, match="no style layer 6"):
        pipe(maps=face, style="hair@6=prior")


def test_a_source_without_a_class_brings_the_global_code(pipe: zoo.Composition, face: Path) -> None:
    one, two = (whole(pipe(maps=face, seed=0, style=f"seed:{s}")) for s in (1, 2))
    assert torch.equal(whole(pipe(maps=face, seed=0, style=["seed:1", "seed:2", "hair=seed:1"])), two)
    assert torch.equal(whole(pipe(maps=face, seed=0, style=["seed:1", "hair,skin=seed:2"])), one)


def test_classes_that_the_photo_lacks_come_from_the_prior(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    """The photo shows no nose: each sample draws its own; everything else is the photo's."""
    space = pipe.space
    bare = SemanticMap.from_png(inputs / "face.png", space).labels
    bare[bare == space.index("nose")] = space.index("skin")
    SemanticMap(bare, space).to_png(tmp_path / "bare.png")
    photo = f"{inputs / 'photo.png'}::{tmp_path / 'bare.png'}"
    made = pipe(maps=inputs / "face.png", n=3, seed=4, style=photo, batch_size=2)
    nose = space.index("nose")
    drawn = pipe(maps=inputs / "face.png", n=3, seed=4)
    assert torch.equal(codes(made)[:, nose], codes(drawn)[:, nose])
    assert len(torch.unique(codes(made)[:, nose], dim=0)) == 3
    rest = torch.ones(len(space), dtype=torch.bool)
    rest[nose] = False
    assert torch.equal(codes(made)[1][rest], codes(made)[0][rest])
    assert not torch.equal(codes(made)[0, space.index("hair")], codes(drawn)[0, space.index("hair")])
    same = pipe(maps=inputs / "face.png", n=2, seed=4, style=photo, same_style=True)
    assert torch.equal(codes(same)[0], codes(same)[1])
    # a class asked for by name must be there
    with pytest.raises(UsageError, match=r"has no nose: its map shows background, skin"):
        pipe(maps=inputs / "face.png", style=f"nose={photo}")
    # and one layer of a class that the photo lacks can still be changed
    layered = pipe(maps=inputs / "face.png", seed=4, style=[photo, "nose@deep=seed:9"])
    assert changed(codes(layered), codes(made)[:1], pipe) == {"nose": [4, 5]}


def test_several_photos_each_for_its_classes(pipe: zoo.Composition, inputs: Path) -> None:
    face, other = (f"{inputs / p}::{inputs / m}" for p, m in (("photo.png", "face.png"), ("photo2.png", "other.png")))
    one, two = (codes(pipe(maps=inputs / "face.png", seed=0, style=s)) for s in (face, other))
    mixed = codes(pipe(maps=inputs / "face.png", seed=0, style=[face, f"hair,nose={other}"]))
    for name in pipe.space.names:
        index = pipe.space.index(name)
        assert torch.equal(mixed[:, index], (two if name in ("hair", "nose") else one)[:, index]), name


def test_reconstruction_is_the_photo_s_own_style(pipe: zoo.Composition, inputs: Path) -> None:
    given = pipe(photos=inputs / "photo.png", maps=inputs / "face.png", seed=0)
    named = pipe(maps=inputs / "face.png", seed=0, style=f"{inputs / 'photo.png'}::{inputs / 'face.png'}")
    assert torch.equal(codes(given), codes(named)) and torch.equal(images(given), images(named))


def test_the_way_between_two_styles(pipe: zoo.Composition, face: Path, inputs: Path, tmp_path: Path) -> None:
    steps = codes(pipe(maps=face, n=5, seed=0, style="seed:1", style_to="seed:2", batch_size=2))
    ends = [codes(pipe(maps=face, seed=0, style=f"seed:{s}"))[0] for s in (1, 2)]
    for i in range(5):
        torch.testing.assert_close(steps[i], torch.lerp(ends[0], ends[1], i / 4))
    # a class that the goal lacks stays as it is, to the end
    space = pipe.space
    bare = SemanticMap.from_png(face, space).labels
    bare[bare == space.index("nose")] = space.index("skin")
    SemanticMap(bare, space).to_png(tmp_path / "bare.png")
    goal = f"{inputs / 'photo.png'}::{tmp_path / 'bare.png'}"
    steps = codes(pipe(maps=face, n=3, seed=0, style="seed:1", style_to=goal))
    nose = space.index("nose")
    assert torch.equal(steps[:, nose], steps[:1, nose].expand(3, -1, -1)) and steps[:, nose].any()
    skin = space.index("skin")
    assert not torch.equal(steps[2, skin], steps[0, skin])


def test_a_saved_style_serves_another_map(pipe: zoo.Composition, face: Path, inputs: Path, tmp_path: Path) -> None:
    made = pipe(maps=face, n=2, seed=8)
    assert made.styles is not None
    made.styles[1].save(tmp_path / "look.safetensors")
    again = pipe(maps=face, n=2, seed=0, style=str(tmp_path / "look.safetensors"))
    assert torch.equal(codes(again), codes(made)[1:2].expand(2, -1, -1, -1))
    rows = pipe(maps=face, n=2, seed=0, style=made.styles, batch_size=1)
    assert torch.equal(codes(rows), codes(made))
    # the other map may show more classes
    more = pipe(labels=["skin", "hair", "hat"], n=2, seed=0, style=str(tmp_path / "look.safetensors"))
    assert images(more).isfinite().all()


def test_batches_do_not_matter(pipe: zoo.Composition) -> None:
    one, three = (pipe(labels=["skin", "hair", "nose"], n=4, seed=2, batch_size=b) for b in (1, 3))
    assert torch.equal(codes(one), codes(three))
    torch.testing.assert_close(images(one), images(three), atol=1e-4, rtol=0)


def test_nothing_is_called_fixed_that_may_be_drawn(pipe: zoo.Composition, inputs: Path) -> None:
    """A photo may lack classes that the map shows, so equal samples are announced only for sources that lack none; a style of
    single classes leaves the others to the prior."""
    from zoo.composition.request.requests import Request, parse_style

    def note(style: str, *, same_style: bool = False) -> str | None:
        masks = (str(inputs / "face.png"),)
        return describe_randomness(pipe, Request(n=2, masks=masks, styles=(parse_style(style),), same_style=same_style))

    assert (
        note("hair=seed:1") is None
        and len(torch.unique(codes(pipe(maps=inputs / "face.png", n=2, seed=0, style="hair=seed:1")), dim=0)) == 2
    )
    assert "leave <<same_style>> out" in (note("hair=prior", same_style=True) or "")
    assert note("seed:1") is not None and note(f"{inputs / 'photo.png'}::{inputs / 'face.png'}") is None


def test_a_map_of_another_space_or_size(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    small = SemanticMap.from_png(inputs / "face.png", pipe.space).resize((20, 20))
    small.to_png(tmp_path / "small.png")
    with pytest.raises(UsageError, match=r"48 x 48 pixels, its map .* 20 x 20"):
        pipe(maps=inputs / "face.png", style=f"{inputs / 'photo.png'}::{tmp_path / 'small.png'}")
    streets = SemanticMap(torch.full((1, 48, 48), 150), zoo.label_space("ade20k"))
    streets.to_png(tmp_path / "streets.png")
    with pytest.raises(zoo.ZooError, match="150"):
        pipe(maps=inputs / "face.png", style=f"{inputs / 'photo.png'}::{tmp_path / 'streets.png'}")
