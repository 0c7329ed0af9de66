"""SegVAE's model: configs and orders, generation, flattening, codes, edits. Small untrained networks."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.configs import from_dict, override, to_dict
from zoo.errors import ConfigError, LabelError, UsageError
from zoo.interfaces import CAPABILITIES, Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.labels import LabelClass, LabelSet, LabelSpace, numbered_space
from zoo.maps import LayeredMap, SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.segvae import plugin
from zoo_plugins.segvae.config import (
    CELEBA,
    CVAE_GLOBAL_VARIANTS,
    CVAE_SEP_VARIANTS,
    HUMAN_PARSING,
    ORDERS,
    VARIANTS,
    CvaeGlobalConfig,
    CvaeSepConfig,
    SegVAEConfig,
    SegVAEOptions,
    SegVAETraining,
)
from zoo_plugins.segvae.editing import fill_nearest
from zoo_plugins.segvae.model import SegVAE

SPACE = label_space("celebamask-hq")
SMALL = {"size": 16, "ngf": 4, "shape_dim": 12, "hidden_dim": 8, "z_dim": 6}
FACE = ("skin", "hair", "nose", "l_eye", "r_eye", "u_lip", "neck")


def small(space: LabelSpace = SPACE, config: SegVAEConfig | None = None, **changes: object) -> SegVAE:
    """An untrained model whose weights are large enough that shapes differ from class to class and from code to code."""
    torch.manual_seed(0)
    model = SegVAE(override(config or SegVAEConfig(), {**SMALL, **changes}), space)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            elif "norm" not in name:
                parameter.normal_(std=0.2)
        for net in (model.prior, model.posterior):
            if net is not None:
                net.heads.log_var.bias.fill_(2.0)  # codes that spread, so that a redraw changes the shape
    return model.eval()


def face(size: int = 16, count: int = 2) -> SemanticMap:
    """Boxes of hair, skin, eyes, nose and neck; glasses in the first map only."""
    labels = torch.zeros(count, 16, 16, dtype=torch.long)
    boxes = {"hair": (1, 2, 12, 14), "neck": (12, 6, 16, 10), "skin": (3, 4, 13, 12), "nose": (7, 7, 10, 9)}
    boxes |= {"l_eye": (5, 5, 6, 7), "r_eye": (5, 9, 6, 11)}
    for name, (top, left, bottom, right) in boxes.items():
        labels[:, top:bottom, left:right] = SPACE.index(name)
    labels[0, 4:6, 5:11] = SPACE.index("eye_g")
    return SemanticMap(labels, SPACE).resize((size, size))


def value(name: str) -> int:
    return SPACE.index(name)


# --- configs ---------------------------------------------------------------------------------------------------------


def test_config_round_trip() -> None:
    for variants, kind in (
        (VARIANTS, SegVAEConfig),
        (CVAE_SEP_VARIANTS, CvaeSepConfig),
        (CVAE_GLOBAL_VARIANTS, CvaeGlobalConfig),
    ):
        for variant in variants.values():
            assert from_dict(kind, to_dict(variant.config), complete=True) == variant.config
            assert from_dict(SegVAETraining, to_dict(variant.training), complete=True) == variant.training


def test_orders_of_table_3() -> None:
    by_index = {
        "order-1": ("1 15 2 4 5 6 7 9 10 17 12 13 14 18 3 11 8 16", "11 2 14 15 12 13 4 7 5 6 9 10 1 3 8 17 16"),
        "order-2": ("4 5 6 7 9 10 17 12 13 14 1 15 2 18 3 11 8 16", "4 7 5 6 9 10 11 2 14 15 12 13 1 3 8 17 16"),
        "order-3": ("18 3 11 8 16 1 15 2 4 5 6 7 9 10 17 12 13 14", "1 3 8 17 16 11 2 14 15 12 13 4 7 5 6 9 10"),
    }
    assert set(by_index) == set(ORDERS)
    for name, numbers in by_index.items():
        for channels, space, expected in zip((CELEBA, HUMAN_PARSING), ("celebamask-hq", "atr"), numbers, strict=True):
            model = small(label_space(space), label_space=space, channels=channels, order=(name,))
            assert model.order == tuple(int(n) for n in expected.split())


def test_orders_of_ones_own() -> None:
    model = small(channels=("nose", "skin", "hair"), order=("hair", "nose", "skin"))
    assert model.order == (3, 1, 2)
    assert model.generate([SPACE.label_set(["skin"])], rng=0).labels.shape == (1, 16, 16)
    with pytest.raises(ConfigError, match=r"missing: hair.*unknown or twice: hat"):
        SegVAEConfig(channels=("nose", "skin", "hair"), order=("nose", "skin", "hat"))
    with pytest.raises(ConfigError, match="write the order out"):
        SegVAEConfig(channels=("nose", "skin"))
    with pytest.raises(ConfigError, match="order-1, order-2, order-3"):
        SegVAEConfig(order=("order-4",))


def test_spaces_that_do_not_fit() -> None:
    with pytest.raises(LabelError, match="background"):
        small(numbered_space(3), channels=("label_1",), order=("label_1",))
    with pytest.raises(LabelError, match="No class"):
        small(channels=("wing",), order=("wing",))
    with pytest.raises(LabelError, match="derives the background"):
        small(channels=("background", "skin"), order=("skin", "background"))


@pytest.mark.parametrize(
    ("field", "text"), [({"size": 48}, "power of 2"), ({"norm": "gn"}, "expected one of"), ({"z_dim": 0}, ">= 1")]
)
def test_bad_configs_are_refused(field: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        override(SegVAEConfig(), field)


FORMS: list[dict[str, Any]] = [
    *({"norm": n, "spectral": s} for n, s in product(("in", "bn", "none"), (True, False))),
    {"lstm": False},
    {"learned_prior": False},
    {"lstm": False, "learned_prior": False},
    {"context": "label-set"},
    {"context": "class"},
    {"embed_dim": 3, "size": 32},
    {"size": 8},
]


@pytest.mark.parametrize("changes", FORMS, ids=lambda c: ",".join(f"{k}={v}" for k, v in c.items()))
def test_every_form_goes_through_the_same_interface(changes: dict[str, Any]) -> None:
    _whole_interface(small(**changes))


@pytest.mark.parametrize("config", [CvaeSepConfig(), CvaeGlobalConfig()])
def test_baselines(config: SegVAEConfig) -> None:
    model = small(config=config)
    assert model.prior is None and model.context.uses_labels == (config.context == "label-set")
    _whole_interface(model)
    # blind to the other shapes: what is asked for beside a class does not change it
    sets = [SPACE.label_set(["nose"]), SPACE.label_set(["nose", "skin"])]
    latents = {"eps": Rng(0, [0]).normal("z", shape=(len(CELEBA), 6)).repeat(2, 1, 1)}
    nose = model.generate_layers(sets, latents=latents).layers[:, value("nose")]
    assert bool((nose[0] - nose[1]).abs().max() < 1e-5) == (config.context == "class")


def _whole_interface(model: SegVAE) -> None:
    side = model.config.size
    maps = model.generate([SPACE.label_set(FACE), SPACE.label_set(["hat"])], rng=0)
    assert maps.labels.shape == (2, side, side) and maps.space is SPACE
    given = face(side)
    rebuilt = model.decode(model.encode(given), context=given)
    assert rebuilt.labels.shape == (2, side, side)
    edited = model.edit(given, [Redraw(("hair",)), Add(("hat",)), Remove(("nose",))], rng=0)
    assert not (edited.labels == value("nose")).any()


def test_capabilities_and_options_are_those_registered() -> None:
    model = small()
    has = {name for name, protocol in CAPABILITIES.items() if isinstance(model, protocol)}
    for architecture in plugin.architectures:
        assert has == set(architecture.can)
    assert SegVAE.OPTIONS is SegVAEOptions
    assert {a.name for a in plugin.architectures} == {"segvae", "cvae-sep", "cvae-global"}


# --- generating ------------------------------------------------------------------------------------------------------


def test_latents_are_keyed_by_class_and_sample() -> None:
    model = small()
    sets = [SPACE.label_set(["skin", "hair"]), SPACE.label_set(["hat"])]
    eps = model.sample_latents(sets, Rng(3, (5, 6)))["eps"]
    assert eps.shape == (2, len(CELEBA), 6)
    assert torch.equal(eps[1:], model.sample_latents(sets[:1], Rng(3, (6,)))["eps"])  # whatever the label set
    turned = small(channels=CELEBA[::-1])
    assert torch.equal(eps.flip(1), turned.sample_latents(sets, Rng(3, (5, 6)))["eps"])
    assert torch.equal(eps, model.sample_latents(sets, Rng(3, (5, 6)), prior="normal")["eps"])
    with pytest.raises(UsageError, match="not a fitted one"):
        model.sample_latents(sets, 0, prior="fitted")
    with pytest.raises(UsageError, match="no prior 'gauss'"):
        model.sample_latents(sets, 0, prior="gauss")


@pytest.mark.parametrize("norm", ["in", "none", "bn"])
def test_maps_do_not_depend_on_the_batch(norm: str) -> None:
    model = small(norm=norm)
    sets = [SPACE.label_set(FACE), SPACE.label_set(["hat"]), SPACE.label_set(["skin", "eye_g"])]
    latents = model.sample_latents(sets, 0)
    together = model.generate_layers(sets, latents=latents).layers
    for i, label_set in enumerate(sets):
        alone = model.generate_layers([label_set], latents={"eps": latents["eps"][i : i + 1]}).layers
        drawn = [v for v in range(len(SPACE)) if v != SPACE.background_index]
        torch.testing.assert_close(alone[:, drawn], together[i : i + 1, drawn], atol=1e-4, rtol=0)


def test_classes_outside_the_set_never_appear() -> None:
    model = small()
    sets = [SPACE.label_set(["skin", "hair"]), SPACE.label_set(["eye_g", "ear_r", "hat"])]  # accessories alone do, too
    for options in (None, SegVAEOptions(flatten="argmax")):
        shown = model.generate(sets, rng=0, options=options).label_sets()
        assert all(set(s.names) <= {*asked.names, "background"} for s, asked in zip(shown, sets, strict=True))
    layers = model.generate_layers(sets, rng=0).layers
    for row, asked in zip(layers, sets, strict=True):
        soft = [n for n in CELEBA if row[value(n)].any()]
        assert set(soft) == set(asked.names)


def test_seeds_give_different_maps_and_the_same_seed_the_same() -> None:
    model, sets = small(), [SPACE.label_set(FACE)] * 4
    one = model.generate_layers(sets, rng=1).layers
    assert torch.equal(one, model.generate_layers(sets, rng=1).layers)
    differences = [(one[a] - one[b]).abs().max() for a in range(4) for b in range(a)]
    assert min(differences) > 1e-3
    assert (one - model.generate_layers(sets, rng=2).layers).abs().max() > 1e-3


def test_label_sets_that_do_not_do() -> None:
    few = small(channels=("skin", "nose"), order=("skin", "nose"))
    for call in (lambda s: few.generate(s, rng=0), lambda s: few.sample_latents(s, 0)):
        with pytest.raises(UsageError, match="at least one"):
            call([])
        with pytest.raises(UsageError, match=r"empty.*skin, nose"):
            call([SPACE.label_set(["skin"]), LabelSet(SPACE, ())])
        with pytest.raises(UsageError, match="empty"):
            call([SPACE.label_set(["background"])])
        with pytest.raises(LabelError, match=r"does not draw hair, hat; its parts are skin, nose"):
            call([SPACE.label_set(["skin", "hat", "hair"])])
    named = SPACE.label_set(["background", "skin"])
    assert torch.equal(few.generate([named], rng=0).labels, few.generate([SPACE.label_set(["skin"])], rng=0).labels)


def test_latents_that_do_not_do() -> None:
    model, sets = small(), [SPACE.label_set(["skin"])]
    with pytest.raises(UsageError, match=r"'eps'.*'z'"):
        model.generate(sets, latents={"h0": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"\(2, 18, 6\).*\(1, 18, 6\)"):
        model.generate(sets, latents={"eps": torch.zeros(2, 18, 6)})
    with pytest.raises(UsageError, match="label_sets="):
        model.decode(model.encode(face()))
    with pytest.raises(UsageError, match="one each"):
        model.decode(model.encode(face()), label_sets=sets, context=face())
    with pytest.raises(LabelError, match="to_space"):
        model.encode(SemanticMap(torch.zeros(1, 8, 8, dtype=torch.long), label_space("atr")))


def test_the_network_calls_of_a_map() -> None:
    """A context code for each class, absent ones too; a shape for the present ones only."""
    model = small()
    calls: dict[str, int] = {"context": 0, "prior": 0, "decoder": 0}
    for name in calls:
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    model.generate([SPACE.label_set(FACE)], rng=0)
    assert calls == {"context": 18, "prior": 18, "decoder": len(FACE)}


# --- flattening ------------------------------------------------------------------------------------------------------


def soft(model: SegVAE, **shapes: float) -> LayeredMap:
    planes = torch.zeros(1, len(CELEBA) + 1, 16, 16)
    for name, weight in shapes.items():
        planes[:, CELEBA.index(name) + 1] = weight
    return model.layers(planes)


def flat(model: SegVAE, rule: str = "painter", **shapes: float) -> str:
    labels = model.flatten(soft(model, **shapes), SegVAEOptions(flatten=rule)).labels  # pyright: ignore[reportArgumentType]
    assert (labels == labels[0, 0, 0]).all()
    return SPACE.names[int(labels[0, 0, 0])]


def test_painters_order_and_argmax() -> None:
    model = small()
    assert flat(model, skin=1.0, nose=0.6) == "nose"  # later over earlier
    assert flat(model, "argmax", skin=1.0, nose=0.6) == "skin"
    assert flat(model, l_eye=1.0, eye_g=0.6) == "eye_g"
    assert flat(model, "argmax", l_eye=1.0, eye_g=1.0) == "l_eye"  # the first channel wins ties
    assert flat(model, "argmax", hair=0.9, hat=0.9) == "hair"
    assert flat(model, skin=0.3, hair=0.2) == "skin" == flat(model, "argmax", skin=0.3, hair=0.2)
    assert flat(model, skin=0.2, hair=0.1) == "background" == flat(model, "argmax", skin=0.2, hair=0.1)
    strict = small(background=0.6)
    assert flat(strict, skin=0.55) == "skin" and flat(strict, skin=0.3, hair=0.2) == "background"
    assert flat(strict, "argmax", skin=0.55) == "background"


def test_background_is_a_plane_of_0_and_1() -> None:
    model = small()
    assert soft(model, skin=0.5).layers[:, 0].eq(0).all() and soft(model, skin=0.4).layers[:, 0].eq(1).all()
    layers = model.generate_layers([SPACE.label_set(FACE)], rng=0).layers
    assert set(layers[:, 0].unique().tolist()) <= {0.0, 1.0}
    covered = layers[:, 1:].sum(1) > 0.4
    assert torch.equal(layers[:, 0] == 0, covered)


def test_parts_stay_on_what_they_lie_on_in_every_order() -> None:
    """order-2 draws the skin after the eyes, whose layer goes on under them."""
    for order in ORDERS:
        model = small(order=(order,))
        painted = model.paint_order
        assert sorted(painted) == sorted(CELEBA)
        for name in ("nose", "l_eye", "mouth", "eye_g"):
            assert painted.index(name) > painted.index("skin")
        maps = face()
        assert torch.equal(model.flatten(LayeredMap.from_map(maps, fill=True)).labels, maps.labels)
    assert small().paint_order == SegVAEConfig().steps


# --- codes -----------------------------------------------------------------------------------------------------------


def test_codes_are_means_or_drawn() -> None:
    model, maps = small(), face()
    mean, again, drawn = model.encode(maps)["z"], model.encode(maps)["z"], model.encode(maps, rng=0)["z"]
    assert mean.shape == (2, 18, 6) and torch.equal(mean, again) and not torch.allclose(mean, drawn)
    alone = model.encode(maps[1])["z"]
    torch.testing.assert_close(alone[0], mean[1], atol=1e-4, rtol=1e-4)
    large = model.encode(maps.resize((32, 32)))["z"]
    assert torch.equal(large, mean)


def test_context_gives_the_clean_reconstruction() -> None:
    """With the map as context each class is decoded on the true canvas: a class's shape does not hang on others' codes."""
    model, maps = small(), face()
    z = model.encode(maps)["z"]
    sets = model.label_sets_of(maps)
    clean = model.shapes(
        model.vector(model.presence(sets)), {"z": z}, truth=model.planes(LayeredMap.from_map(maps, fill=True))
    )
    z[:, CELEBA.index("skin")] = 0.0
    other = model.shapes(
        model.vector(model.presence(sets)), {"z": z}, truth=model.planes(LayeredMap.from_map(maps, fill=True))
    )
    changed = {n for i, n in enumerate(CELEBA) if not torch.equal(clean[:, i + 1], other[:, i + 1])}
    assert changed == {"skin"}
    free = model.shapes(model.vector(model.presence(sets)), {"z": z})
    assert not torch.equal(free[:, CELEBA.index("hair") + 1], other[:, CELEBA.index("hair") + 1])


def test_label_sets_of_maps_and_layers() -> None:
    model = small(channels=("skin", "nose", "hair"), order=("skin", "hair", "nose"))
    assert [s.names for s in model.label_sets_of(face(count=1))] == [("skin", "nose", "hair")]
    tiny = torch.zeros(1, 256, 256, dtype=torch.long)
    tiny[:, 0, 0] = value("nose")  # too small for 16 px: absent, as the authors count it after the resize
    assert [s.names for s in model.label_sets_of(SemanticMap(tiny, SPACE))] == [()]


# --- edits -----------------------------------------------------------------------------------------------------------


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
    before = torch.tensor([[[1, 2, 2, 2, 2, 0], [3, 3, 3, 3, 3, 3]]])
    after = torch.tensor([[[1, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2]]])
    edited = torch.tensor([[False, False, True, False]])
    assert fill_nearest(before, after, edited, 0)[0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    whole = torch.full((1, 2, 2), 2)
    assert fill_nearest(whole, torch.zeros_like(whole), edited, 0).eq(0).all()  # nothing to take from
    generator = torch.Generator().manual_seed(0)
    before = torch.randint(0, 4, (1, 20, 20), generator=generator)
    after = torch.where(before == 2, 0, before)
    filled = fill_nearest(before, after, edited, 0)
    sources = (before != 2).nonzero()[:, 1:].float()
    for y, x in (before[0] == 2).nonzero().tolist():
        distance = torch.cdist(torch.tensor([[y, x]]).float(), sources)[0]
        nearest = sources[distance == distance.min()].long()
        assert filled[0, y, x] in after[0, nearest[:, 0], nearest[:, 1]]


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
