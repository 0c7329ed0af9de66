"""MaskVAE: label sets, the fitted prior, mixtures, edits, the inference form, what may be wrong, training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gan_tiny import SPACE, block_maps
from test_maskgan import Pairs
from training_steps import take_step

from zoo.edits import Add, Interpolate, Perturb, Redraw, Remove
from zoo.errors import ConfigError, LabelError, UsageError, WeightsError
from zoo.inference.optimize import optimize
from zoo.labels import LabelSet, numbered_space
from zoo.rng import Rng
from zoo_plugins.maskgan import vae_official
from zoo_plugins.maskgan.vae_config import VARIANTS, MaskVAEConfig, MaskVAETraining
from zoo_plugins.maskgan.vae_model import MaskVAE
from zoo_plugins.maskgan.vae_trainer import MaskVAETrainer

pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(**fields: Any) -> MaskVAE:
    """A model whose maps show many classes."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"ngf": 4, "ndf": 4, "latent": 6, "halvings": 3}
    config = MaskVAEConfig(**(sizes | fields))
    model = MaskVAE(config, SPACE)
    with torch.no_grad():
        for i in range(9):
            model(model.planes(block_maps(4, seed=i)), torch.randn(4, config.latent))
        last: Any = model.decoder.out
        last.weight.mul_(5)
        last.bias.zero_()
    return model.eval()


def overfitted(maps: Any, steps: int = 150) -> MaskVAE:
    """A model that reconstructs these maps."""
    model = tiny(ngf=8, ndf=8, latent=16).train()
    trainer = MaskVAETrainer(model, MaskVAETraining(lr=5e-3, kl=1e-5))
    batch = Pairs(maps, False).batch(range(len(maps)))
    losses = [take_step(trainer, batch, i)["ce"] for i in range(steps)]
    assert losses[-1] < 0.2 * losses[0]
    return model.eval()


# --- label sets and the prior -----------------------------------------------------------------------------------------


def test_no_class_outside_the_set_appears() -> None:
    model = tiny()
    sets = [SPACE.label_set(["skin", "hair"]), LabelSet(SPACE, ()), SPACE.label_set(["cloth", "hat", "nose"])]
    free = model.decode(model.sample_latents(sets, 0))
    shown = [set(s.names) for s in free.label_sets()]
    assert any(s - {"skin", "hair", "background"} for s in shown[:1])  # the network alone does not keep to it
    for asked, got in zip(sets, model.generate(sets, rng=0).label_sets(), strict=True):
        assert set(got.names) <= {*asked, "background"}


def test_the_fitted_prior_knows_what_classes_go_with_which_codes() -> None:
    """Codes of real maps are drawn again with their moments, and nearer to those of maps that show the classes asked for."""
    model, maps = tiny(), block_maps(200, classes=6)
    data: Any = Pairs(maps, False)
    prior = model.fit_asset("prior", data, MaskVAETraining())
    assert prior is not None
    model.assets["prior"] = prior
    mu, log_var = model.posterior(maps)
    shown = model.shown(maps)
    torch.testing.assert_close(prior["presence"], shown.float().mean(0))
    sets = [s for s in maps.label_sets() for _ in range(10)]
    drawn = model.sample_latents(sets, 0)["z"]
    torch.testing.assert_close(drawn.mean(0), mu.mean(0), atol=0.05, rtol=0.05)
    spread = (mu.var(0) + log_var.exp().mean(0)).sqrt()
    assert float(((drawn.std(0) - spread).abs() / spread).max()) < 0.15
    with_hair, without = (mu[shown[:, 5] == there].mean(0) for there in (True, False))
    names = ["skin", "nose", "eye_g", "l_eye"]
    pairs = [model.sample_latents([SPACE.label_set([*names, *more])], 3)["z"][0] for more in (["r_eye"], [])]
    assert float((pairs[0] - pairs[1]) @ (with_hair - without)) > 0
    normal = model.sample_latents(sets[:2], 0, prior="normal")["z"]
    assert torch.equal(normal, model.sample_latents(sets[5:7], 0, prior="normal")["z"])


def test_requests_that_cannot_be_are_refused() -> None:
    model = tiny()
    with pytest.raises(UsageError, match="zoo fit MODEL prior"):
        model.sample_latents([SPACE.label_set(["skin"])], 0, prior="fitted")
    with pytest.raises(UsageError, match="'fitted' or 'normal', got 'mean'"):
        model.sample_latents([SPACE.label_set(["skin"])], 0, prior="mean")
    with pytest.raises(UsageError, match="at least one"):
        model.generate([])
    with pytest.raises(UsageError, match="2 label sets for codes of 1 samples"):
        model.decode({"z": torch.zeros(1, 6)}, label_sets=[SPACE.label_set(["skin"])] * 2)
    space = numbered_space(3)
    numbered = MaskVAE(MaskVAEConfig(label_space="numbered", ngf=1, ndf=1, latent=2, halvings=1), space)
    with pytest.raises(LabelError, match="no background: name one class"):
        numbered.presence([LabelSet(space, ())])


# --- codes ------------------------------------------------------------------------------------------------------------


def test_between_two_maps() -> None:
    """An overfitted model: t = 0 is one map, t = 1 the other, half lies between, and another size makes no difference."""
    maps = block_maps(2, classes=7)
    model = overfitted(maps)
    names = SPACE.names[1:]

    def at(t: float) -> Any:
        return model.edit(maps[0], [Interpolate(names, maps[1], t)]).labels[0]

    shares = [[float((at(t) == m).float().mean()) for m in maps.labels] for t in (0.0, 0.5, 1.0)]
    assert shares[0][0] > 0.95 and shares[2][1] > 0.95
    assert shares[0][0] > shares[1][0] > shares[2][0] and shares[0][1] < shares[1][1] < shares[2][1]
    large = maps.resize((96, 128))
    assert torch.equal(model.encode(large)["z"], model.encode(maps)["z"]) and model.decode(
        model.encode(large)
    ).size == (32, 32)


def test_edits() -> None:
    maps = block_maps(2, classes=7)
    model = overfitted(maps)
    removed = model.edit(maps, [Remove(("nose",))])
    assert "nose" in maps.label_sets()[0].names and all("nose" not in s.names for s in removed.label_sets())
    kept = model.edit(maps, [Remove(("skin",)), Remove(("nose",))])
    assert all(not {"nose", "skin"} & set(s.names) for s in kept.label_sets())
    moved = [model.edit(maps, [Perturb(("skin",), strength)], rng=3).labels for strength in (0.0, 0.5, 5.0)]
    apart = [float((m != moved[0]).float().mean()) for m in moved]
    assert apart[0] == 0 < apart[1] < apart[2]
    other = model.edit(maps, [Perturb(("skin",), 5.0), Perturb(("skin",), 5.0)], rng=3).labels
    assert not torch.equal(other, model.edit(maps, [Perturb(("skin",), 10.0)], rng=3).labels)
    assert torch.equal(
        model.edit(maps[0], [Interpolate(("skin",), maps[0], -0.25)]).labels, model.edit(maps[0], []).labels
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Redraw(("skin",)), "no edit 'redraw'"),
        (Add(("hat",)), "no edit 'add'"),
        (Perturb(("cloth",)), "no map shows cloth"),
        (Remove(("background",)), "'background' is no part"),
        (Interpolate(("skin",), block_maps(1), 2.5), "up to 1 beyond, got 2.5"),
        (Interpolate(("skin",), block_maps(3), 0.5), "1 other map or 2, got 3"),
    ],
)
def test_edits_that_cannot_be_are_refused(edit: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tiny().edit(block_maps(2, classes=7), [edit])


# --- forms, files, options --------------------------------------------------------------------------------------------


def test_the_inference_form_is_equal() -> None:
    model, maps = tiny(), block_maps(3)
    fast: Any = optimize(model)
    torch.testing.assert_close(fast.encode(maps)["z"], model.encode(maps)["z"], atol=2e-5, rtol=1e-5)
    z = torch.randn(3, 6)
    torch.testing.assert_close(fast.decoder(z), model.decoder(z), atol=1e-4, rtol=1e-5)


def test_official_names_and_what_is_none() -> None:
    model = tiny(halvings=4)
    names = vae_official.official_names(list(model.state_dict()))
    state = {names[k]: v for k, v in model.state_dict().items()}
    back = vae_official.convert({"generator": state})
    assert back.keys() == model.state_dict().keys() and all(
        torch.equal(v, back[k]) for k, v in model.state_dict().items()
    )
    assert {"e4.weight", "bn4.bias", "fc2.bias", "d1.weight", "d5.weight", "bn7.running_mean"} < set(state)
    with pytest.raises(WeightsError, match=r"1 unknown keys, the first \['d9.weight'\]"):
        vae_official.convert({"generator": state | {"d9.weight": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="one file, of role 'generator'"):
        vae_official.convert({"discriminator": state})
    match = vae_official.detect({k: tuple(v.shape) for k, v in state.items() if k != "fc1.bias"})
    assert match is not None and match.missing == ("fc1.bias",) and match.config["halvings"] == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MaskVAEConfig(latent=0), "latent must be at least 1"),
        (lambda: MaskVAETraining(kl=-1), "kl must not be negative"),
        (lambda: MaskVAETraining(decay_last=2), "decay_last lies in 0 to 1"),
    ],
)
def test_configs_that_cannot_be_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_the_sizes_of_the_variants() -> None:
    assert {name: v.config.side for name, v in VARIANTS.items()} == {"celeba": 512, "celeba-128": 128}


def test_rates_and_scores() -> None:
    trainer = MaskVAETrainer(tiny(), MaskVAETraining(steps=100, lr=1.0))
    assert [trainer.rates(0, s)["model"] for s in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]
    data: Any = Pairs(block_maps(4), False)
    scores = trainer.validate(data)
    assert list(scores) == ["miou", "accuracy", "miou_sampled", "accuracy_sampled"] and scores == trainer.validate(data)
    rows = trainer.preview(data.batch([0, 1]), Rng(0, [0, 1]))
    assert set(rows) == {"map", "reconstruction", "half", "sample"} and all(
        r.shape == (2, 3, 32, 32) for r in rows.values()
    )
