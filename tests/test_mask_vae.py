"""mask-vae: generation, codes, edits, the fitted prior, training. Small untrained networks; a few steps of training at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from zoo.configs import from_dict, override, to_dict
from zoo.data.pairs import Batch
from zoo.edits import Add, Interpolate, Perturb, Redraw, Remove
from zoo.errors import ConfigError, LabelError, UsageError, WeightsError
from zoo.labels import LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.mask_vae import losses
from zoo_plugins.mask_vae import plugin as mask_vae
from zoo_plugins.mask_vae.config import VARIANTS, MaskVaeConfig, MaskVaeTraining
from zoo_plugins.mask_vae.model import SemanticVAE
from zoo_plugins.mask_vae.networks import own_weights, with_background
from zoo_plugins.mask_vae.prior import LatentPrior
from zoo_plugins.mask_vae.trainer import MaskVaeTrainer

SPACE = label_space("celebamask-hq")
SMALL = MaskVaeConfig(
    latent=16, encoder_side=16, encoder_widths=(32, 24), decoder_width=16, decoder_widths=(16, 8), groups=4
)  # fmt: skip


def small(space: LabelSpace = SPACE, **changes: object) -> SemanticVAE:
    """An untrained 16 px model whose zero-initialised convolutions are filled, so that every code matters."""
    torch.manual_seed(0)
    model = SemanticVAE(override(SMALL, changes), space)
    with torch.no_grad():
        for block in model.generator.convs.blocks:
            block.conv2.weight.normal_(std=0.2)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        model.generator.convs.out_conv.weight.mul_(8)
    return model.eval()


def faces(count: int = 4, size: int = 32) -> SemanticMap:
    """Blocks of skin, nose and hair on background; glasses in the first map only."""
    labels = torch.zeros(count, size, size, dtype=torch.long)
    labels[:, 4:28, 6:26] = SPACE.index("skin")
    for i in range(count):
        labels[i, 2 : 6 + i % 3, 4:28] = SPACE.index("hair")
    labels[:, 14:20, 14:18] = SPACE.index("nose")
    labels[0, 10:13, 8:24] = SPACE.index("eye_g")
    return SemanticMap(labels, SPACE)


class Faces:
    """Stands in for PairData where only its iteration matters."""

    label_space = SPACE

    def __init__(self, maps: SemanticMap) -> None:
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def class_counts(self) -> Tensor:
        return torch.bincount(self.maps.labels.flatten(), minlength=len(SPACE))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self.maps), batch_size):
            part = self.maps[slice(start, start + batch_size)]
            yield Batch(None, part, tuple(str(i) for i in range(len(part))))


def with_prior(model: SemanticVAE) -> SemanticVAE:
    g = torch.Generator().manual_seed(1)
    codes = torch.randn(60, len(model.channels), model.config.latent, generator=g)
    prior = LatentPrior.fit(codes, torch.ones(60, len(model.channels), dtype=torch.bool), 4)
    model.assets["prior"] = prior.tensors()
    return model


# --- config and network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("both", [False, True])
def test_rows_of_table_1_run(layers: int, both: bool) -> None:
    model = small(lstm_layers=layers, bidirectional=both)
    maps = model.generate([SPACE.label_set(["skin", "hair"])], rng=0)
    assert maps.labels.shape == (1, 16, 16)
    assert isinstance(model.generator.shortcut, torch.nn.Linear) == (both and layers > 0)


def test_paper_form_and_small_sides() -> None:
    model = small(shortcut=False, decoder_widths=(8,), background="zero", random_state=False, swap_first_parts=True)
    assert model.resolution == (8, 8) and model.generator.shortcut is None
    assert model.generate([SPACE.label_set(["nose"])], rng=0).size == (8, 8)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("latent", 200, "square"),
        ("decoder_widths", (30,), "multiples"),
        ("channels", ("skin", "skin"), "distinct"),
        ("background", "x", "sum"),
    ],
)
def test_bad_configs_are_refused(field: str, value: object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        override(MaskVaeConfig(), {field: value})


def test_config_round_trip() -> None:
    for variant in VARIANTS.values():
        assert from_dict(MaskVaeConfig, to_dict(variant.config), complete=True) == variant.config
        assert from_dict(MaskVaeTraining, to_dict(variant.training), complete=True) == variant.training


def test_spaces_that_do_not_fit() -> None:
    with pytest.raises(LabelError, match="background"):
        SemanticVAE(replace(SMALL, channels=("label_1",)), numbered_space(3))
    with pytest.raises(LabelError, match="No class"):
        SemanticVAE(replace(SMALL, channels=("wing",)), SPACE)
    with pytest.raises(LabelError, match="derives the background"):
        SemanticVAE(replace(SMALL, channels=("background", "skin")), SPACE)


def test_background_rules() -> None:
    scores = torch.tensor([[-1.0, 0.5], [0.4, 0.4]])[:, :, None, None]
    assert with_background(scores)[:, 0].flatten().tolist() == [1.0, 0.0]
    assert with_background(scores, "zero")[:, 0].flatten().tolist() == [0.0, 0.0]


def test_interpolation_weights_of_paper_and_code() -> None:
    assert own_weights((0.0, 0.25, 0.5, 0.75, 1.0)) == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert own_weights((0.0, 0.25, 0.5, 0.75, 1.0), cumulative=True) == (1.0, 0.75, 0.375, 0.09375, 0.0)


def test_planes_equal_resizing_the_planes() -> None:
    model, maps = small(), faces(2, size=37)
    onehot = torch.stack([(maps.labels == SPACE.index(n)).float() for n in model.channels], dim=1)
    mu, _ = model.encoder(onehot)
    torch.testing.assert_close(mu, model.encoder(model.planes(maps.labels))[0])


# --- generating ------------------------------------------------------------------------------------------------------


def test_capabilities_are_those_registered() -> None:
    assert small().capabilities() == set(mask_vae.architectures[0].can)


@pytest.mark.parametrize("prior", ["fitted", "normal"])
def test_latents_do_not_depend_on_the_batch(prior: str) -> None:
    model = with_prior(small())
    sets = [SPACE.label_set(["skin", "hair"]), SPACE.label_set(["skin", "hat", "nose"]), SPACE.label_set(["cloth"])]
    together = model.sample_latents(sets, Rng(3, (5, 6, 7)), prior=prior)
    for i, s in enumerate((5, 6, 7)):
        alone = model.sample_latents(sets[i : i + 1], Rng(3, (s,)), prior=prior)
        assert all(torch.equal(together[k][i : i + 1], alone[k]) for k in ("z", "h0", "c0"))
    state = together["h0"].abs().sum()
    assert (state == 0) == (prior == "fitted")


def test_absent_parts_have_the_empty_code_and_no_pixel() -> None:
    model = with_prior(small())
    sets = [SPACE.label_set(["skin", "hair"])]
    z = model.sample_latents(sets, 0)["z"][0]
    empty = model.encode(SemanticMap(torch.zeros(1, 16, 16, dtype=torch.long), SPACE))["z"][0]
    absent = [i for i, n in enumerate(model.channels) if n not in ("skin", "hair")]
    torch.testing.assert_close(z[absent], empty[absent])
    shown = model.generate(sets, rng=0).label_set()
    assert set(shown.names) <= {"background", "skin", "hair"}


def test_one_parts_draw_leaves_the_others_alone() -> None:
    model = with_prior(small())
    one = model.sample_latents([SPACE.label_set(["skin", "hair"])], 1)["z"][0]
    two = model.sample_latents([SPACE.label_set(["skin", "hair", "hat"])], 1)["z"][0]
    hat = model.channels.index("hat")
    assert torch.equal(one[:hat], two[:hat]) and torch.equal(one[hat + 1 :], two[hat + 1 :])
    assert not torch.equal(one[hat], two[hat])


def test_wrong_requests() -> None:
    model = small()
    with pytest.raises(UsageError, match="no fitted prior"):
        model.sample_latents([SPACE.label_set(["skin"])], 0, prior="fitted")
    with pytest.raises(UsageError, match="'fitted' or 'normal'"):
        model.sample_latents([SPACE.label_set(["skin"])], 0, prior="gauss")
    with pytest.raises(UsageError, match="at least one"):
        model.generate([])
    with pytest.raises(UsageError, match="one each"):
        model.decode(model.encode(faces(2)), label_sets=[SPACE.label_set(["skin"])])
    with pytest.raises(LabelError, match="to_space"):
        model.encode(SemanticMap(torch.zeros(1, 8, 8, dtype=torch.long), label_space("atr")))
    few = small(channels=("skin", "nose"))
    with pytest.raises(LabelError, match="hair"):
        few.generate([SPACE.label_set(["skin", "hair"])], rng=0)


# --- codes and edits -------------------------------------------------------------------------------------------------


def test_encoding_is_the_mean_or_drawn() -> None:
    model, maps = small(), faces()
    mean, again, drawn = model.encode(maps), model.encode(maps), model.encode(maps, rng=0)
    assert torch.equal(mean["z"], again["z"]) and not mean["h0"].any()
    assert not torch.equal(mean["z"], drawn["z"]) and drawn["h0"].any()
    alone = model.encode(maps[1])
    assert torch.equal(mean["z"][1:2], alone["z"])


def edited_codes(model: SemanticVAE, maps: SemanticMap, edit: object, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """(codes before, after, present after) of one edit."""
    from zoo_plugins.mask_vae.editing import apply_edits

    z = model.encode(maps)["z"]
    present = maps.present()[:, model.values[1:]]
    after, shown = apply_edits(model, z, present, [edit], Rng(seed, range(len(maps))))  # pyright: ignore[reportArgumentType]
    return z, after, shown


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("edit", [Redraw(("hair",)), Perturb(("hair",), 0.5), Remove(("hair",)), Add(("hat",))])
def test_edits_change_their_part_only(fitted: bool, edit: object) -> None:
    model = with_prior(small()) if fitted else small()
    z, after, present = edited_codes(model, faces(), edit)
    part = model.channels.index("hat" if isinstance(edit, Add) else "hair")
    changed = (z != after).any(2)
    assert changed[:, part].all() and changed.sum() == len(z)
    assert present[:, part].all() != isinstance(edit, Remove)


def test_strength_scales_the_same_noise() -> None:
    model = small()
    z, weak, _ = edited_codes(model, faces(), Perturb(("nose",), 0.5))
    _, strong, _ = edited_codes(model, faces(), Perturb(("nose",), 1.0))
    torch.testing.assert_close(2 * (weak - z), strong - z)
    _, none, _ = edited_codes(model, faces(), Perturb(("nose",), 0.0))
    torch.testing.assert_close(none, z)


def test_interpolation_is_equation_4_and_t_1_swaps() -> None:
    model, maps = small(), faces(2)
    other = faces(4)[3]
    theirs = model.encode(other)["z"]
    hair = model.channels.index("hair")
    for t in (0.0, 0.25, 1.0):
        z, after, _ = edited_codes(model, maps, Interpolate(("hair",), other, t))
        torch.testing.assert_close(after[:, hair], t * theirs[:, hair] + (1 - t) * z[:, hair])
    with pytest.raises(UsageError, match="between 0"):
        model.edit(maps, [Interpolate(("hair",), other, 1.5)])


def test_swapping_in_a_part_the_other_lacks_removes_it() -> None:
    model, maps = small(), faces(2)
    _, _, present = edited_codes(model, maps, Interpolate(("eye_g",), maps[1], 1.0))
    assert not present[:, model.channels.index("eye_g")].any()


def test_edits_of_parts_no_map_shows() -> None:
    model = small()
    with pytest.raises(UsageError, match="add:hat"):
        model.edit(faces(), [Redraw(("hat",))], rng=0)
    with pytest.raises(UsageError, match="no part"):
        model.edit(faces(), [Redraw(("background",))], rng=0)
    with pytest.raises(LabelError, match="did you mean"):
        model.edit(faces(), [Redraw(("hairr",))], rng=0)
    for some in (model, with_prior(small())):
        z, after, _ = edited_codes(some, faces(), Redraw(("eye_g",)))  # only the first map has glasses
        assert (z != after).any(2).any(1).tolist() == [True, False, False, False]


def test_edit_gives_a_map_and_respects_the_order_independence_of_keys() -> None:
    model = with_prior(small())
    maps = model.edit(faces(), [Perturb(("nose",)), Redraw(("hair",))], rng=0)
    assert maps.labels.shape == (4, 16, 16)
    from zoo_plugins.mask_vae.editing import apply_edits

    z, present = model.encode(faces())["z"], faces().present()[:, model.values[1:]]
    nose = model.channels.index("nose")
    alone, _ = apply_edits(model, z, present, [Perturb(("nose",))], Rng(0, range(4)))
    both, _ = apply_edits(model, z, present, [Redraw(("hair",)), Perturb(("nose",))], Rng(0, range(4)))
    assert torch.equal(alone[:, nose], both[:, nose])
    twice, _ = apply_edits(model, z, present, [Perturb(("nose",)), Perturb(("nose",))], Rng(0, range(4)))
    assert not torch.allclose(twice[:, nose] - z[:, nose], 2 * (alone[:, nose] - z[:, nose]))


# --- the fitted prior ------------------------------------------------------------------------------------------------


def synthetic(n: int = 4000, rare: float = 0.06) -> tuple[Tensor, Tensor]:
    """Three parts of 8 numbers: 0 and 1 share a factor (correlation .9), 2 is rare, far off and tied to part 0."""
    g = torch.Generator().manual_seed(0)
    f, noise = torch.randn(n, 2, generator=g), torch.randn(n, 3, 8, generator=g) * 0.05
    codes = noise.clone()
    codes[:, 0, 0] += 2 * f[:, 0]
    codes[:, 1, 3] += 0.9 * f[:, 0] + (1 - 0.81) ** 0.5 * f[:, 1]
    present = torch.ones(n, 3, dtype=torch.bool)
    present[:, 2] = torch.rand(n, generator=g) < rare
    codes[:, 2] = torch.where(present[:, 2:], 5 + noise[:, 2] + 0.5 * f[:, :1], 0.0)
    return codes, present


def draws(prior: LatentPrior, n: int, wanted: Tensor, kept: Tensor, codes: Tensor) -> Tensor:
    g = torch.Generator().manual_seed(7)
    parts, k, size = prior.basis.shape
    scores, rest = torch.randn(n, parts, k, generator=g), torch.randn(n, parts, size, generator=g)
    return prior.draw(scores, rest, wanted.expand(n, -1), kept.expand(n, -1), codes.expand(n, -1, -1))


def correlation(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()


def test_prior_recovers_moments_correlations_and_rare_parts() -> None:
    codes, present = synthetic()
    prior = LatentPrior.fit(codes, present, 4)
    z = draws(prior, 3000, torch.tensor([True] * 3), torch.tensor([False] * 3), torch.zeros(3, 8))
    assert correlation(z[:, 0, 0], z[:, 1, 3]) == pytest.approx(0.9, abs=0.05)
    assert z[:, 0, 0].std().item() == pytest.approx(2.0, rel=0.1)
    assert z[:, 2].mean().item() == pytest.approx(5.0, abs=0.15)  # the moments of the few that show it, not of all
    assert correlation(z[:, 0, 0], z[:, 2].mean(1)) > 0.7
    assert prior.counts[2] == present[:, 2].sum()


def test_prior_given_kept_parts() -> None:
    codes, present = synthetic()
    prior = LatentPrior.fit(codes, present, 4)
    kept, wanted = torch.tensor([True, False, False]), torch.tensor([False, True, False])
    own = torch.zeros(3, 8)
    own[0, 0] = 4.0  # two standard deviations of the shared factor
    z = draws(prior, 2000, wanted, kept, own)
    assert torch.equal(z[:, 0], own[0].expand(2000, -1)) and torch.equal(z[:, 2], own[2].expand(2000, -1))
    assert z[:, 1, 3].mean().item() == pytest.approx(1.8, abs=0.15)
    assert z[:, 1, 3].std().item() == pytest.approx((1 - 0.81) ** 0.5, abs=0.1)


def test_prior_is_positive_definite_and_shrunk_with_few_faces() -> None:
    g = torch.Generator().manual_seed(3)
    codes = torch.randn(30, 6, 16, generator=g)
    present = torch.rand(30, 6, generator=g) < 0.5
    prior = LatentPrior.fit(codes, present, 8)
    values = torch.linalg.eigvalsh(prior.correlation.double())
    assert values.min() > 0 and torch.allclose(prior.correlation.diagonal(), torch.ones(48))
    off = prior.correlation - torch.eye(48)
    assert off.abs().max() < 0.5  # independent codes: what 15 common faces suggest is mostly shrunk away


def test_prior_without_a_part_and_from_one_face() -> None:
    codes, present = synthetic(50, rare=0.0)
    prior = LatentPrior.fit(codes, present, 4)
    assert not prior.mean[2].any() and prior.residual[2].eq(1).all()
    present[3, 2] = True
    codes[3, 2] = 2.0
    assert LatentPrior.fit(codes, present, 4).mean[2].eq(2).all()


def test_prior_of_another_model_is_refused() -> None:
    codes, present = synthetic(20)
    tensors = LatentPrior.fit(codes, present, 2).tensors()
    with pytest.raises(WeightsError, match="does not fit"):
        LatentPrior.from_tensors(tensors, 4, 8)
    again = LatentPrior.from_tensors(tensors, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(again.tensors().values(), tensors.values(), strict=True))


def test_prior_stays_small() -> None:
    g = torch.Generator().manual_seed(0)
    prior = LatentPrior.fit(torch.randn(200, 18, 256, generator=g), torch.ones(200, 18, dtype=torch.bool), 16)
    assert sum(t.numel() * t.element_size() for t in prior.tensors().values()) < 1_000_000


# --- losses and training ---------------------------------------------------------------------------------------------


def test_class_weights_from_counts() -> None:
    counts = torch.tensor([60, 40, 0])
    torch.testing.assert_close(losses.frequency_weights(counts), torch.tensor([0.4, 0.6, 1.0]))
    root = losses.power_weights(counts)
    assert root[1] / root[0] == pytest.approx((60 / 40) ** 0.5) and root[2] > root[1]
    assert (root * counts).sum().item() == pytest.approx(100)
    with pytest.raises(UsageError, match="labeled pixel"):
        losses.frequency_weights(torch.zeros(3))


def test_paper_sum_is_per_sample() -> None:
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    mean = losses.weighted_cross_entropy(logits, target)
    torch.testing.assert_close(losses.weighted_cross_entropy(logits, target, reduction="sum"), mean * 16)


def options(**changes: object) -> MaskVaeTraining:
    training = replace(
        VARIANTS["celeba-128"].training, steps=10, batch_size=4, prior_components=4, weighting="official"
    )
    return override(training, changes)


def step(trainer: MaskVaeTrainer, batch: Batch, number: int) -> dict[str, float]:
    """What the loop does with each update."""
    found: dict[str, float] = {}
    optimizers = trainer.optimizers()
    for update in trainer.updates(batch, Rng(0, range(len(batch))), number):
        parameters = [p for name in update.optimizers for p in trainer.networks[name].parameters()]
        torch.stack(list(update.losses.values())).sum().backward(inputs=parameters)
        for name in update.optimizers:
            optimizers[name].step()
            optimizers[name].zero_grad()
        found |= {k: v.item() for k, v in update.losses.items()}
    return found


@pytest.mark.parametrize("adversarial", [False, True])
def test_training_learns_a_batch(adversarial: bool) -> None:
    model = small().train()
    trainer = MaskVaeTrainer(model, options(adversarial=adversarial, ndf=8, lr=5e-3))
    batch = Batch(None, faces(), ("a", "b", "c", "d"))
    found = [step(trainer, batch, i) for i in range(30)]
    assert found[-1]["ce"] < 0.6 * found[0]["ce"]
    assert set(found[0]) == ({"kl", "ce", "gan", "features", "d_fake", "d_real"} if adversarial else {"kl", "ce"})
    assert set(trainer.networks) == set(trainer.optimizers()) == set(trainer.rates(0, 0))


def test_noise_is_keyed_by_the_step() -> None:
    model = small()
    trainer, batch = MaskVaeTrainer(model, options()), Batch(None, faces(), ("",) * 4)

    def ce(number: int) -> float:
        return next(trainer.updates(batch, Rng(0, range(4)), number)).losses["ce"].item()

    assert ce(1) == ce(1) != ce(2)


def test_schedules() -> None:
    official = MaskVaeTrainer(small(), MaskVaeTraining(steps=100))
    assert official.rates(0, 0) == {"model": 1e-4} == official.rates(0, 50)
    assert official.rates(0, 75)["model"] == pytest.approx(5e-5) and official.rates(0, 100)["model"] == 0
    ours = MaskVaeTrainer(small(), options(steps=100, warmup=9))
    assert ours.rates(0, 0)["model"] == pytest.approx(5e-5) and ours.rates(0, 100)["model"] == pytest.approx(0)


def test_weights_of_another_vocabulary() -> None:
    few = small(channels=("skin", "nose"))
    with pytest.raises(ConfigError, match='weighting": "frequency"'):
        MaskVaeTrainer(few, options())
    trainer = MaskVaeTrainer(few, options(weighting="frequency"))
    trainer.prepare(Faces(faces()))  # pyright: ignore[reportArgumentType]
    assert trainer._weights is not None and trainer._weights.shape == (3,)
    scores = trainer.validate(Faces(faces()))  # pyright: ignore[reportArgumentType]
    assert scores["accuracy"] <= 1  # hair and glasses count as background
    MaskVaeTrainer(few, options(weighting="none"))


def test_validation_preview_and_assets() -> None:
    model = small()
    trainer = MaskVaeTrainer(model, options())
    scores = trainer.validate(Faces(faces(6)))  # pyright: ignore[reportArgumentType]
    assert list(scores) == ["miou", "accuracy", "miou_sampled", "accuracy_sampled"]
    assert all(0 <= v <= 1 for v in scores.values())
    pictures = trainer.preview(Batch(None, faces(2), ("a", "b")), Rng(0, range(2)))
    assert {tuple(p.shape) for p in pictures.values()} == {(2, 3, 16, 16)}
    assets = trainer.finish(Faces(faces(6)))  # pyright: ignore[reportArgumentType]
    assert set(assets) == set(SemanticVAE.ASSETS)
    model.assets = assets
    sets = model.sample_label_sets(5, 0)
    assert all("background" not in s.names and "skin" in s for s in sets)
    assert model.generate(sets, rng=0).labels.shape == (5, 16, 16)
    json_total = sum(entry["count"] for entry in assets["label_sets"])
    assert json_total == 12  # each map and its mirror image
