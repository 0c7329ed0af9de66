"""Where the style of a sample comes from: prior, seed:N, mean, photos, files, Style objects, and the way between two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures_models import SCGAN

import zoo
from zoo.composition.folder.results import Result
from zoo.errors import UsageError
from zoo.files.images import read_photo
from zoo.rng import Rng


def codes(result: Result) -> torch.Tensor:
    return result.styles.tensors["z"]


@pytest.fixture
def face(inputs: Path) -> Path:
    return inputs / "face.png"


def test_each_sample_draws_its_own(pipe: zoo.Composition, face: Path) -> None:
    z = codes(pipe(maps=face, n=4, seed=3, batch_size=3))
    assert len(torch.unique(z, dim=0)) == 4
    expected = pipe.synthesizer.sample_style(
        zoo.SemanticMap(torch.zeros(4, 2, 2).long(), pipe.space), Rng(3, range(4)).within("style")
    )
    assert torch.equal(z, expected.tensors["z"])


def test_same_style_is_the_first(pipe: zoo.Composition, face: Path, inputs: Path) -> None:
    free = codes(pipe(maps=[face, inputs / "other.png"], n=2, seed=3))
    same = codes(pipe(maps=[face, inputs / "other.png"], n=2, seed=3, same_style=True, batch_size=3))
    assert torch.equal(same, free[:1].expand(4, -1))
    photos = [inputs / "photo.png", inputs / "photo2.png"]
    shared = codes(pipe(photos=photos, seed=0, same_style=True))
    assert torch.equal(shared, codes(pipe(photos=photos, seed=0))[:1].expand(2, -1))


def test_a_seed_is_one_style(pipe: zoo.Composition, face: Path) -> None:
    first = codes(pipe(maps=face, n=1, seed=12))
    z = codes(pipe(maps=face, n=3, seed=1, style="seed:12"))
    assert torch.equal(z, first.expand(3, -1))
    assert torch.equal(z, codes(pipe(labels=["skin"], n=3, seed=2, style=["prior", "seed:12"])))  # later wins


def test_mean_draws_nothing(pipe: zoo.Composition, face: Path) -> None:
    a, b = (codes(pipe(maps=face, n=2, seed=s, style="mean")) for s in (0, 1))
    assert torch.equal(a, b) and torch.equal(a[0], a[1])


def test_styles_of_photos(pipe: zoo.Composition, face: Path, inputs: Path) -> None:
    """With the photo's map, with a parser, and as the photo that a sample starts from."""
    photo, mask = inputs / "photo.png", inputs / "face.png"
    named = codes(pipe(maps=inputs / "other.png", n=3, seed=0, style=f"{photo}::{mask}", batch_size=2))
    assert len(torch.unique(named, dim=0)) == 1
    parsed = codes(pipe(maps=inputs / "other.png", seed=0, style=str(photo)))
    assert torch.equal(parsed, named[:1])
    given = pipe(photos=photo, maps=mask, n=2, seed=0)
    assert torch.equal(codes(given), named[:2])
    assert torch.equal(given.maps.labels[0], pipe(maps=mask, seed=0).maps.labels[0])
    assert not torch.equal(codes(pipe(photos=photo, maps=mask, seed=0, style="prior")), named[:1])
    tensor = pipe(photos=read_photo(photo), maps=zoo.SemanticMap.from_png(mask, pipe.space), n=2, seed=0)
    assert torch.equal(tensor.images, given.images)


def test_a_photo_alone(pipe: zoo.Composition, inputs: Path) -> None:
    result = pipe(photos=[inputs / "photo.png", inputs / "photo2.png"], n=2, seed=0, batch_size=3)
    assert len(result) == 4 and len(torch.unique(codes(result), dim=0)) == 2
    size = pipe.resolution
    whole = read_photo(inputs / "photo.png")[None]
    assert torch.equal(result.maps.labels[0], pipe.parser.parse(whole).resize(size).labels[0])


def test_keep_pastes_pixels(pipe: zoo.Composition, inputs: Path) -> None:
    request = {"photos": inputs / "photo.png", "maps": inputs / "face.png", "seed": 0, "edits": "redraw:hair", "n": 2}
    free, kept = pipe(**request), pipe(**request, keep=["skin"])
    old = pipe(maps=inputs / "face.png", seed=0).maps.labels
    skin = (old == 1) & (free.maps.labels == 1)
    changed = (free.images != kept.images).any(1)
    assert skin.any() and not changed[~skin].any() and changed[skin].any()
    photo = torch.nn.functional.interpolate(
        read_photo(inputs / "photo.png")[None], size=pipe.resolution, mode="bicubic", antialias=True
    ).clamp(0, 1)
    assert torch.allclose(kept.images.permute(0, 2, 3, 1)[skin], photo.expand_as(kept.images).permute(0, 2, 3, 1)[skin])


def test_from_one_style_to_another(pipe: zoo.Composition, face: Path) -> None:
    start, end = (codes(pipe(maps=face, seed=1, style=s)) for s in ("seed:1", "seed:2"))
    z = codes(pipe(maps=face, n=5, seed=1, style="seed:1", style_to="seed:2", batch_size=2))
    expected = torch.cat([torch.lerp(start, end, k / 4) for k in range(5)])
    assert torch.allclose(z, expected, atol=1e-6)
    # both drawn: one start and another end, the same for every batch size
    free = codes(pipe(maps=face, n=5, seed=1, style_to="prior", batch_size=2))
    assert torch.equal(free, codes(pipe(maps=face, n=5, seed=1, style_to="prior", batch_size=5)))
    assert not torch.allclose(free[0], free[4]) and torch.allclose(free[2], (free[0] + free[4]) / 2, atol=1e-6)


def test_files_and_objects(pipe: zoo.Composition, face: Path, tmp_path: Path) -> None:
    made = pipe(maps=face, n=4, seed=8)
    made.styles[1].save(tmp_path / "look.safetensors")
    again = pipe(maps=face, n=3, seed=0, style=str(tmp_path / "look.safetensors"), batch_size=2)
    assert torch.equal(codes(again), codes(made)[1:2].expand(3, -1))
    rows = pipe(maps=face, n=4, seed=0, style=made.styles, batch_size=3)
    assert torch.equal(codes(rows), codes(made)) and torch.equal(rows.maps.labels, made.maps.labels)
    with pytest.raises(UsageError, match="holds 4 samples, the run makes 6"):
        pipe(maps=face, n=6, style=made.styles)


def test_what_a_synthesizer_lacks(pipe: zoo.Composition, pair: tuple[str, str], face: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no class axis"):
        pipe(maps=face, style="hair=seed:1")
    with pytest.raises(UsageError, match="no layers"):
        pipe(maps=face, style="hair@deep=seed:1")
    with pytest.raises(zoo.ZooError, match="did you mean 'hair'"):
        pipe(maps=face, style="hiar=seed:1")
    with pytest.raises(UsageError, match="makes maps only"):
        zoo.compose((pair[0], None), device="cpu")(style="prior")
    plain = zoo.compose((pair[0], zoo.create("scgan/celeba-128", **{**SCGAN, "use_vae": False})), device="cpu")
    assert plain(n=2, seed=0).styles is None
    for wrong in ({"style": "prior"}, {"style_to": "mean", "n": 2}, {"same_style": True}):
        with pytest.raises(UsageError, match="has no style"):
            plain(**wrong)
    foreign = zoo.Style({"w": torch.zeros(1, 3)}, {"w": ("sample", "channel")})
    with pytest.raises(UsageError):
        pipe(maps=face, style=foreign)


def test_a_map_that_does_not_fit_its_photo(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    zoo.SemanticMap.from_png(inputs / "face.png", pipe.space).resize((20, 20)).to_png(tmp_path / "small.png")
    with pytest.raises(UsageError, match=r"48 x 48 pixels, its map .* 20 x 20"):
        pipe(photos=inputs / "photo.png", maps=tmp_path / "small.png")


def test_a_parser_of_faces_is_none_of_people(published: Path) -> None:
    """The two spaces share hair and hat, which is too little to read a photo by."""
    from zoo.composition.parsers import default_parser

    for name in ("celebamask-hq", "face-parsing"):
        assert default_parser(zoo.label_space(name)) == "face-parser-celeba"
    with pytest.raises(UsageError, match="No published parser knows the classes of 'atr'"):
        default_parser(zoo.label_space("atr"))
