"""SegVAE's model: configs and orders, generation, flattening, codes. Small untrained networks."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from segvae_tiny import FACE, SPACE, face, small, value

from zoo.configs import from_dict, override, to_dict
from zoo.edits import Add, Redraw, Remove
from zoo.errors import ConfigError, LabelError, UsageError
from zoo.labels import LabelSet, numbered_space
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
from zoo_plugins.segvae.model import SegVAE

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


@pytest.mark.parametrize("fields", [{"flatten": "paint"}, {"uncovered": "hair"}])
def test_bad_options_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        SegVAEOptions(**fields)


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
    for architecture in plugin.architectures:
        assert small().capabilities() == set(architecture.can)
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
    with pytest.raises(UsageError, match="only the one that it has learned"):
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


def test_layers_are_resized_as_maps_are() -> None:
    for size in ((16, 16), (11, 7), (32, 48)):
        maps = face(count=1)
        layers = LayeredMap.from_map(maps, fill=True).resize(size)
        assert torch.equal(layers.layers, LayeredMap.from_map(maps.resize(size), fill=True).layers)
    assert layers.to("cpu").layers is layers.layers


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
