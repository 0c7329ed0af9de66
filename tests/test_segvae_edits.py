"""Edits of SegVAE on drawn and on real faces: what changes, what stays, what is refused. Small untrained networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from segvae_tiny import FACE, SPACE, face, small, value
from torch import Tensor

from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.errors import LabelError, UsageError
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import LayeredMap, SemanticMap
from zoo.rng import Rng
from zoo_plugins.segvae.config import CELEBA, SegVAEOptions
from zoo_plugins.segvae.editing import fill_nearest


def real_faces(folder: Path, count: int = 4, size: tuple[int, int] | None = None) -> SemanticMap:
    paths = sorted((folder / "labels").glob("*.png"))[:count]
    found = [SemanticMap.from_png(p, SPACE) for p in paths]
    return SemanticMap.cat([m.resize(size) if size else m for m in found])


EDITS: list[Edit] = [
    Redraw(("hair",)),
    Redraw(("skin",)),
    Redraw(("nose", "u_lip")),
    Add(("eye_g",)),
    Add(("hat", "ear_r")),
    Remove(("hair",)),
    Remove(("skin",)),
    Remove(("l_eye", "r_eye")),
]


@pytest.mark.parametrize("uncovered", ["background", "nearest"])
@pytest.mark.parametrize("edit", EDITS, ids=lambda e: f"{type(e).__name__}-{'-'.join(e.classes)}")
def test_every_other_part_of_real_faces_stays(faces: Path, edit: Edit, uncovered: str) -> None:
    model = small(size=32)
    given = real_faces(faces)
    old = given.resize((32, 32)).labels
    new = model.edit(given, [edit], rng=0, options=SegVAEOptions(uncovered=uncovered)).labels  # pyright: ignore[reportArgumentType]
    edited = torch.tensor([value(n) for n in edit.classes])
    was, now = torch.isin(old, edited), torch.isin(new, edited)
    assert torch.equal(old[~was & ~now], new[~was & ~now])
    assert (old != new).any()
    if isinstance(edit, Remove):
        assert not now.any()
    elif isinstance(edit, Add):
        assert (new == edited[0]).flatten(1).any(1).all()


def test_what_a_removed_part_leaves() -> None:
    model, maps = small(), face(count=1)
    nose = maps.labels == value("nose")
    assert (model.edit(maps, [Remove(("nose",))]).labels[nose] == value("skin")).all()
    hair = maps.labels == value("hair")
    assert (model.edit(maps, [Remove(("hair",))]).labels[hair] == 0).all()
    filled = model.edit(maps, [Remove(("hair",))], options=SegVAEOptions(uncovered="nearest")).labels
    assert (filled[hair] == value("skin")).any() and (filled[hair] == 0).any()
    assert torch.equal(model.edit(maps, []).labels, maps.labels)
    assert torch.equal(model.edit(maps, [Remove(("hat",))]).labels, maps.labels)


def test_nearest_is_the_nearest() -> None:
    space = numbered_space(4, background=True)
    before = torch.tensor([[[1, 2, 2, 2, 2, 0], [3, 3, 3, 3, 3, 3]]])
    after = torch.tensor([[[1, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2]]])
    edited = torch.tensor([[False, False, True, False]])
    assert fill_nearest(before, after, edited, space)[0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    whole = torch.full((1, 2, 2), 2)
    assert fill_nearest(whole, torch.zeros_like(whole), edited, space).eq(0).all()  # nothing to take from
    generator = torch.Generator().manual_seed(0)
    before = torch.randint(0, 4, (1, 20, 20), generator=generator)
    after = torch.where(before == 2, 0, before)
    filled = fill_nearest(before, after, edited, space)
    sources = (before != 2).nonzero()[:, 1:].float()
    for y, x in (before[0] == 2).nonzero().tolist():
        distance = torch.cdist(torch.tensor([[y, x]]).float(), sources)[0]
        nearest = sources[distance == distance.min()].long()
        assert filled[0, y, x] in after[0, nearest[:, 0], nearest[:, 1]]


def test_nearest_passes_on_what_the_neighbour_lies_on() -> None:
    before = torch.tensor([[[value("hair"), value("l_brow")]]])
    after = torch.tensor([[[0, value("l_brow")]]])
    edited = torch.zeros(1, len(SPACE), dtype=torch.bool)
    edited[:, value("hair")] = True
    assert fill_nearest(before, after, edited, SPACE)[0, 0].tolist() == [value("skin"), value("l_brow")]
    edited[:, value("skin")] = True  # gone as well: the brow itself is what is nearest
    assert fill_nearest(before, after, edited, SPACE)[0, 0].tolist() == [value("l_brow")] * 2


def test_glasses_cover_the_eyes_and_redrawn_skin_does_not() -> None:
    model, maps = small(), face()[1]
    eps = torch.zeros(1, 18, 6)
    assert model.decoder.out.bias is not None
    with torch.no_grad():
        model.decoder.out.bias.fill_(20.0)  # every drawn shape covers everything
    covered = model.edit(maps, [Add(("eye_g",))], latents={"eps": eps}).labels
    assert covered.eq(value("eye_g")).all()
    skin = model.edit(maps, [Redraw(("skin",))], latents={"eps": eps}).labels
    assert torch.equal(skin, torch.where(maps.labels == 0, value("skin"), maps.labels))


def test_a_class_drawn_earlier_is_seen_by_the_later_ones() -> None:
    model, maps = small(), face()
    canvases: list[Tensor] = []
    model.context.register_forward_pre_hook(lambda _, inputs: canvases.append(inputs[0].clone()))
    new = model.edit(maps, [Redraw(("hair",)), Redraw(("nose",))], rng=0)
    assert len(canvases) == model.config.steps.index("nose") + 1  # nothing is computed behind the last edited class
    truth = model.planes(LayeredMap.from_map(maps, fill=True))
    hair, skin = CELEBA.index("hair") + 1, CELEBA.index("skin") + 1
    last = canvases[-1]
    assert torch.equal(last[:, skin], truth[:, skin]) and not torch.equal(last[:, hair], truth[:, hair])
    assert not last[:, CELEBA.index("nose") + 1].any()
    alone = model.edit(maps, [Redraw(("hair",))], rng=0)
    free = (alone.labels != value("nose")) & (new.labels != value("nose"))
    assert torch.equal(alone.labels[free], new.labels[free])


def test_random_numbers_of_edits() -> None:
    model, maps = small(), face()

    def hair(edits: list[Edit], seed: int = 0) -> Tensor:
        return model.edit(maps, edits, rng=seed).labels == value("hair")

    once = hair([Redraw(("hair",))])
    assert torch.equal(once, hair([Redraw(("hair",))]))
    assert torch.equal(once, hair([Redraw(("hair",)), Add(("hat",)), Remove(("hat",))]))
    assert not torch.equal(once, hair([Redraw(("hair",))] * 2))
    assert not torch.equal(once, hair([Redraw(("hair",))], seed=1))
    assert not torch.equal(once[0], once[1])  # each sample its own, though the skin is the same
    one = model.edit(maps[1], [Redraw(("hair",))], rng=Rng(0, [1])).labels == value("hair")
    assert torch.equal(one[0], once[1])


def test_samples_without_the_part_and_with_it_already() -> None:
    model, maps = small(), face()
    redrawn = model.edit(maps, [Redraw(("eye_g",))], rng=0).labels
    assert torch.equal(redrawn[1], maps.labels[1]) and not torch.equal(redrawn[0], maps.labels[0])
    added = model.edit(maps, [Add(("eye_g",))], rng=0).labels
    assert torch.equal(added[0], maps.labels[0]) and not torch.equal(added[1], maps.labels[1])


def test_edits_that_are_refused() -> None:
    model = small()
    with pytest.raises(UsageError, match="add:hat"):
        model.edit(face(), [Redraw(("hat",))], rng=0)
    with pytest.raises(UsageError, match="add:nose"):
        model.edit(face(), [Remove(("nose",)), Redraw(("nose",))], rng=0)
    with pytest.raises(UsageError, match="no part"):
        model.edit(face(), [Remove(("background",))], rng=0)
    with pytest.raises(LabelError, match="did you mean"):
        model.edit(face(), [Redraw(("hairr",))], rng=0)
    for edit in (Perturb(("hair",)), Interpolate(("hair",), face())):
        with pytest.raises(UsageError, match="has no edit"):
            model.edit(face(), [edit], rng=0)
    assert model.edit(face(), [Add(("hat",)), Redraw(("hat",))], rng=0).labels.shape == (2, 16, 16)


def test_a_part_too_small_for_the_network_can_be_redrawn() -> None:
    labels = torch.full((1, 64, 64), value("skin"))
    labels[0, 1, 1] = value("nose")
    maps, model = SemanticMap(labels, SPACE), small()
    assert model.label_sets_of(maps)[0].names == ("skin",)
    assert (model.edit(maps, [Redraw(("nose",))], rng=0).labels == value("nose")).any()
    with pytest.raises(UsageError, match="add:nose"):
        model.edit(maps, [Remove(("nose",)), Redraw(("nose",))], rng=0)


def test_regenerate_draws_the_edited_label_set() -> None:
    model, maps = small(), face()
    options = SegVAEOptions(regenerate=True)
    edits: list[Edit] = [Remove(("hair",)), Add(("hat",))]
    new = model.edit(maps, edits, rng=0, options=options)
    expected = [{*s.names} - {"hair"} | {"hat", "background"} for s in model.label_sets_of(maps)]
    assert all(set(s.names) <= e for s, e in zip(new.label_sets(), expected, strict=True))
    sets = [SPACE.label_set(e - {"background"}) for e in expected]
    latents = model.sample_latents(sets, 0)
    assert torch.equal(
        model.edit(maps, edits, latents=latents, options=options).labels, model.generate(sets, latents=latents).labels
    )
    nothing = model.edit(face(count=1), [Remove(s.names) for s in model.label_sets_of(face(count=1))], options=options)
    assert nothing.labels.eq(0).all()


def test_layers_as_input_keep_what_lies_beneath() -> None:
    model = small()
    layers = LayeredMap.from_map(face(), fill=True)
    layers.layers[:, value("hair"), 3:6] = 1.0  # hair goes on over the forehead
    before = model.flatten(layers)
    bald = model.edit(layers, [Remove(("hair",))])
    changed = before.labels != bald.labels
    assert torch.equal(changed, before.labels == value("hair"))
    assert (bald.labels[changed] == value("skin")).any()
    soft_layers = model.generate_layers([SPACE.label_set(FACE)] * 2, rng=0)
    assert torch.equal(model.edit(soft_layers, []).labels, model.flatten(soft_layers).labels)


def test_classes_that_are_not_drawn_and_unlabeled_pixels_stay() -> None:
    few = small(channels=("skin", "hair"), order=("skin", "hair"))
    maps = face()
    new = few.edit(maps, [Redraw(("hair",))], rng=0).labels
    others = torch.isin(maps.labels, torch.tensor([value(n) for n in ("nose", "neck", "l_eye")]))
    kept = others & (new != value("hair"))
    assert torch.equal(new[kept], maps.labels[kept]) and kept.any()
    classes = tuple(LabelClass(n, (i, i, i)) for i, n in enumerate(("background", "a", "b")))
    space = LabelSpace("holes", classes, background="background", ignore=True)
    model = small(space, label_space="holes", channels=("a", "b"), order=("a", "b"))
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[:, :4], labels[:, 4:8] = 255, 1
    edited = model.edit(SemanticMap(labels, space), [Remove(("a",))]).labels
    assert (edited[:, :4] == 255).all() and (edited[:, 4:] == 0).all()
